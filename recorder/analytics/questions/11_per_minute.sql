-- How much came out in each minute, and how many streams were open at once?
WITH changes AS (
    SELECT wall AS moment, 1 AS change
    FROM streams
    UNION ALL
    SELECT wall + to_microseconds((duration_s * 1e6)::BIGINT), -1
    FROM streams
    WHERE duration_s IS NOT NULL
),

counted AS (
    SELECT date_trunc('minute', moment) AS minute, max(open) AS open_at_most
    FROM (SELECT moment, sum(change) OVER (ORDER BY moment, change) AS open FROM changes)
    GROUP BY minute
),

output AS (
    SELECT date_trunc('minute', wall + to_microseconds((at_s * 1e6)::BIGINT)) AS minute, sum(chars) AS chars
    FROM events
    INNER JOIN streams USING (stream)
    WHERE output
    GROUP BY minute
)

SELECT minute, coalesce(chars, 0)::BIGINT AS chars, open_at_most::BIGINT AS open_at_most
FROM counted
FULL JOIN output USING (minute)
ORDER BY minute
