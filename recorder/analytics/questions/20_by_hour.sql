-- When in the day is it slow? p95 of ttft_s by hour, UTC.
SELECT hour(wall) AS hour, count(ttft_s) AS n, quantile_cont(ttft_s, 0.95) AS p95_s
FROM streams
GROUP BY hour
ORDER BY hour
