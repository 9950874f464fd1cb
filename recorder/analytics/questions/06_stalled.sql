-- How many streams stalled, and how much of their time was that?
SELECT
    request_model AS model,
    count(*) AS n,
    avg((stalls > 0)::INTEGER) AS stalled_share,
    sum(stalled_s) / sum(duration_s) AS stalled_time
FROM streams
WHERE duration_s IS NOT NULL
GROUP BY request_model
ORDER BY n DESC, model
