-- Do gaps come back as recorded? The first stream with a message is the recording, later ones are replays of it.
WITH copies AS (
    SELECT stream, message_id, row_number() OVER (PARTITION BY message_id ORDER BY wall_ns, stream) AS copy
    FROM streams
    WHERE message_id IS NOT NULL
),

gaps AS (
    SELECT message_id, copy, seq, gap_s
    FROM events
    INNER JOIN copies USING (stream)
    WHERE gap_s IS NOT NULL
)

SELECT
    r.message_id,
    r.copy - 1 AS replay,
    count(*) AS n,
    median(o.gap_s) AS recorded_p50_s,
    median(r.gap_s) AS replayed_p50_s,
    max(abs(r.gap_s - o.gap_s)) AS difference_max_s
FROM gaps AS r
INNER JOIN gaps AS o ON o.message_id = r.message_id AND o.seq = r.seq AND o.copy = 1
WHERE r.copy > 1
GROUP BY r.message_id, replay
ORDER BY r.message_id, replay
