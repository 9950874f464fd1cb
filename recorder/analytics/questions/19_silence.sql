-- How often do pings come, and how long was there no byte at all?
WITH pinged AS (
    SELECT stream, at_s - lag(at_s) OVER (PARTITION BY stream ORDER BY seq) AS apart_s
    FROM events
    WHERE event = 'ping'
),

apart AS (
    SELECT request_model, median(apart_s) AS apart_p50_s
    FROM pinged
    INNER JOIN streams USING (stream)
    GROUP BY request_model
)

SELECT
    s.request_model AS model,
    count(*) AS n,
    sum(s.pings)::BIGINT AS pings,
    max(a.apart_p50_s) AS apart_p50_s,
    median(s.silence_max_s) AS silence_p50_s,
    max(s.silence_max_s) AS silence_max_s
FROM streams AS s
LEFT JOIN apart AS a ON a.request_model = s.request_model
GROUP BY s.request_model
ORDER BY n DESC, model
