-- How often do pings come, and how long was there no byte at all?
WITH pings AS (
    SELECT stream, at_s - lag(at_s) OVER (PARTITION BY stream ORDER BY seq) AS apart_s
    FROM events
    WHERE event = 'ping'
)

SELECT
    request_model AS model,
    count(*) AS n,
    sum(pings)::BIGINT AS pings,
    (SELECT median(apart_s) FROM pings INNER JOIN streams AS s USING (stream) WHERE s.request_model = streams.request_model)
        AS apart_p50_s,
    median(silence_max_s) AS silence_p50_s,
    max(silence_max_s) AS silence_max_s
FROM streams
GROUP BY request_model
ORDER BY n DESC, model
