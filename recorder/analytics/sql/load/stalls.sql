-- new_stalls: views/stalls.sql says what the columns are. Times in ns.
CREATE OR REPLACE TEMP TABLE new_stalls AS
WITH long AS (
    SELECT
        n,
        seq,
        since_seq,
        since_role,
        a."at" - pause AS start,
        a."at" AS stop,
        pause,
        role,
        a.block
    FROM arrivals AS a
    WHERE pause > 2000000000
),

last_blocks AS (
    SELECT n, arg_max(block, seq) AS last_block
    FROM arrivals
    WHERE block IS NOT NULL AND n IN (SELECT n FROM long WHERE role = 'end')
    GROUP BY n
),

placed AS (
    SELECT long.* REPLACE (CASE WHEN role = 'output' THEN long.block ELSE last_block END AS block)
    FROM long
    LEFT JOIN last_blocks USING (n)
),

inside AS (
    SELECT
        long.n,
        long.seq,
        sum(a.hold) AS hold,
        count(*) FILTER (
            a.event = 'ping' AND a.role = 'event' AND a.seq < long.seq AND a."at" > long.start AND a."at" < long.stop
        ) AS pings
    FROM long
    INNER JOIN (FROM arrivals WHERE n IN (SELECT n FROM long)) AS a
        ON a.n = long.n AND a.seq > long.since_seq AND a.seq <= long.seq
    GROUP BY long.n, long.seq
)

SELECT
    s.n,
    s.seq,
    CASE
        WHEN coalesce(hold, 0) * 2 > pause THEN 'application'
        WHEN since_role = 'response' THEN 'before_first'
        WHEN type LIKE '%tool_use'
            AND (least(s.stop, coalesce(b.stop, s.stop)) - greatest(s.start, b.start)) * 2 > pause
            THEN 'tool_buffering'
        WHEN pings > 0 THEN 'pinged'
        ELSE 'silent'
    END AS kind,
    s.block,
    type,
    s.start,
    pause AS stall,
    coalesce(hold, 0)::BIGINT AS hold,
    coalesce(pings, 0) AS pings
FROM placed AS s
LEFT JOIN block_times AS b ON b.n = s.n AND b.block = s.block
LEFT JOIN inside ON inside.n = s.n AND inside.seq = s.seq;
