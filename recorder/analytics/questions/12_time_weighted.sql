-- What would somebody who asks at a random moment wait? A slow stream covers more moments than a fast one.
WITH weighted AS (
    SELECT request_model AS model, ttft_s, sum(ttft_s) OVER (PARTITION BY request_model ORDER BY ttft_s, stream) AS covered
    FROM streams
    WHERE ttft_s IS NOT NULL
)

SELECT
    model,
    count(*) AS n,
    quantile_cont(ttft_s, 0.99) AS p99_s,
    min(ttft_s) FILTER (covered >= 0.99 * total) AS time_weighted_p99_s
FROM (SELECT *, max(covered) OVER (PARTITION BY model) AS total FROM weighted)
GROUP BY model
ORDER BY n DESC, model
