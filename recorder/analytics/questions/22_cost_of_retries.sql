-- What did retries cost, by day?
SELECT
    date_trunc('day', wall)::DATE AS day,
    count(*) AS calls,
    count(*) FILTER (attempts > 1) AS retried,
    sum(attempts - 1)::BIGINT AS retries,
    coalesce(sum(retry_penalty_s), 0) AS waited_s
FROM calls
GROUP BY day
ORDER BY day
