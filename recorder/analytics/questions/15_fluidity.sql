-- Could one read along, from 2 s on, at 20 characters a second?
SELECT
    request_model AS model,
    count(*) AS n,
    median(fluidity) AS fluidity_p50,
    avg((fluidity = 1)::INTEGER) AS never_late,
    quantile_cont(late_s, 0.95) AS late_p95_s
FROM fluidity(start_s := 2, chars_per_s := 20)
INNER JOIN streams USING (stream)
GROUP BY request_model
ORDER BY n DESC, model
