-- How long until a tool can be called: its block starts, and its arguments are there?
SELECT
    request_model AS model,
    count(ttf_tool_s) AS n,
    median(ttf_tool_s) AS starts_p50_s,
    median(tool_args_s) AS args_p50_s,
    quantile_cont(tool_args_s, 0.95) AS args_p95_s
FROM streams
WHERE ttf_tool_s IS NOT NULL
GROUP BY request_model
ORDER BY n DESC, model
