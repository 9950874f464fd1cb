-- How even is the flow? Gaps of all streams pooled, by block type.
SELECT
    type,
    count(gap_s) AS n,
    quantile_cont(gap_s, 0.5) AS p50_s,
    quantile_cont(gap_s, 0.95) AS p95_s,
    quantile_cont(gap_s, 0.99) AS p99_s,
    max(gap_s) AS max_s
FROM events
LEFT JOIN blocks USING (stream, block)
WHERE gap_s IS NOT NULL
GROUP BY type
ORDER BY n DESC, type
