-- How fast is the output? Tokens and characters a second, tokens in a delta.
SELECT
    request_model AS model,
    count(output_tps) AS n,
    median(output_tps) AS tokens_per_s,
    median(output_cps) AS chars_per_s,
    median(output_tokens / outputs) AS tokens_per_delta
FROM streams
WHERE outputs > 0
GROUP BY request_model
ORDER BY n DESC, model
