-- Did a version of the SDK change the gaps?
SELECT
    sdk,
    count(*) AS n,
    quantile_cont(gap_s, 0.5) AS p50_s,
    quantile_cont(gap_s, 0.95) AS p95_s,
    quantile_cont(gap_s, 0.99) AS p99_s
FROM events
INNER JOIN streams USING (stream)
WHERE gap_s IS NOT NULL
GROUP BY sdk
ORDER BY sdk
