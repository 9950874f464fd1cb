-- How long until the first token, by model; and how many never got one?
SELECT
    request_model AS model,
    count(*) AS n,
    quantile_cont(ttft_s, 0.5) AS p50_s,
    quantile_cont(ttft_s, 0.9) AS p90_s,
    quantile_cont(ttft_s, 0.99) AS p99_s,
    1 - count(ttft_s) / count(*) AS without_token
FROM streams
GROUP BY request_model
ORDER BY n DESC, model
