-- new_stalls: views/stalls.sql says what the columns are. Times in ns.
-- long: apart, because DuckDB would take it for a fifth of all rows.
CREATE OR REPLACE TEMP TABLE long AS
SELECT
    n,
    seq,
    a."at" - pause AS start,
    a."at" AS stop,
    pause,
    role,
    a.block
FROM arrivals AS a
WHERE pause > 2000000000;

CREATE OR REPLACE TEMP TABLE new_stalls AS
WITH
-- since: the headers or the output before, at which the pause began
begun AS (
    SELECT long.*, since.seq AS since_seq, since.role AS since_role
    FROM long
    INNER JOIN arrivals AS since ON since.n = long.n AND since."at" = long.start AND since.seq < long.seq
    WHERE since.role IN ('response', 'output', 'gap', 'end')
    QUALIFY row_number() OVER (PARTITION BY long.n, long.seq ORDER BY since.seq DESC) = 1
),

last_blocks AS (
    SELECT n, arg_max(block, seq) AS last_block
    FROM arrivals
    WHERE block IS NOT NULL AND n IN (SELECT n FROM long WHERE role = 'end')
    GROUP BY n
),

placed AS (
    SELECT begun.* REPLACE (CASE WHEN role = 'output' THEN begun.block ELSE last_block END AS block)
    FROM begun
    LEFT JOIN last_blocks USING (n)
),

inside AS (
    SELECT
        begun.n,
        begun.seq,
        sum(a.hold) AS hold,
        count(*) FILTER (
            event = 'ping' AND a.role = 'event' AND a.seq < begun.seq AND a."at" > begun.start AND a."at" < begun.stop
        ) AS pings
    FROM begun
    INNER JOIN (FROM arrivals WHERE (hold > 0 OR role = 'event') AND n IN (SELECT n FROM long)) AS a
        ON a.n = begun.n AND a.seq > begun.since_seq AND a.seq <= begun.seq
    INNER JOIN loaded.words USING (word)
    GROUP BY begun.n, begun.seq
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
