-- stalls: one row per pause of more than 2 s without output: between outputs, before the first (from the
-- headers on), or after the last (to the end). *_s in seconds; start_s since the request was sent.
--   seq    the record that ended it
--   kind   application     the application held for more than half of it
--          before_first    no output had come yet
--          tool_buffering  a tool's block was open for more than half of it
--          pinged          a ping came meanwhile
--          silent          none of these
--   block  of the output that ended it; at the end, the last that an event named. type is that block's.
CREATE OR REPLACE TABLE stalls AS
WITH last_blocks AS (
    SELECT stream, arg_max(block, seq) AS block
    FROM events
    WHERE block IS NOT NULL
    GROUP BY stream
),

long AS (
    SELECT
        a.stream,
        a.seq,
        a.since_seq,
        a.since_role,
        a."at" - a.pause AS start,
        a."at" AS stop,
        a.pause,
        CASE WHEN a.role = 'output' THEN a.block ELSE last_blocks.block END AS block
    FROM arrivals AS a
    LEFT JOIN last_blocks USING (stream)
    WHERE a.pause > 2000000000
),

holds AS (
    SELECT long.stream, long.seq, sum(a.hold) AS hold
    FROM long
    INNER JOIN arrivals AS a ON a.stream = long.stream AND a.seq > long.since_seq AND a.seq <= long.seq
    GROUP BY long.stream, long.seq
),

pinged AS (
    SELECT long.stream, long.seq, count(*) AS pings
    FROM long
    INNER JOIN events AS e
        ON e.stream = long.stream AND e.event = 'ping' AND e.seq > long.since_seq AND e.seq < long.seq
            AND e."at" > long.start AND e."at" < long.stop
    GROUP BY long.stream, long.seq
)

SELECT
    long.stream,
    long.seq,
    CASE
        WHEN coalesce(hold, 0) * 2 > pause THEN 'application'
        WHEN since_role = 'response' THEN 'before_first'
        WHEN type LIKE '%tool_use'
            AND (least(long.stop, coalesce(b.stop, long.stop)) - greatest(long.start, b.start)) * 2 > pause
            THEN 'tool_buffering'
        WHEN pings > 0 THEN 'pinged'
        ELSE 'silent'
    END AS kind,
    long.block,
    type,
    long.start / 1e9 AS start_s,
    pause / 1e9 AS stall_s,
    coalesce(hold, 0) / 1e9 AS hold_s,
    coalesce(pings, 0) AS pings
FROM long
LEFT JOIN block_times AS b ON b.stream = long.stream AND b.block = long.block
LEFT JOIN holds ON holds.stream = long.stream AND holds.seq = long.seq
LEFT JOIN pinged ON pinged.stream = long.stream AND pinged.seq = long.seq;
