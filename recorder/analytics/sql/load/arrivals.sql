-- arrivals: one row per record of a stream but its request, and one per chunk that ended inside a record, of the
-- streams that are being loaded. Times in ns. Where records were dropped (a gap record) nothing is known: NULL.
--   role       response, output, event (of another kind), bytes, gap, end. An output carries model output: in
--              a delta, or in a block that arrives whole
--   fresh      did not come in the same chunk as the row before
--   fresh_output  is an output, and the one before came in another chunk
--   coalesced  is an event that came in the same chunk as the event before
--   silence    since the row before, or since the send
--   hold       from the row before to the read that brought this one; NULL if not fresh
--   earliest   it came at this time or later, and no later than "at": before "at" where the read that brought it
--              hardly blocked (less than 0.5 ms), and the last that did block, or the headers, ended 0.5 ms ago
--              or more; then it is that end. NULL where it is "at" itself
--   pause      of progress: since the headers or the output before, as since_seq and since_role say
--   gap        a pause between two outputs of one block that came in different chunks
--   twice      the row before is the same record
-- Windows are fastest over numbers: the streams are numbered, and no text goes through.
CREATE OR REPLACE TEMP TABLE arrivals AS
WITH moments AS (
    SELECT
        stream,
        seq,
        0 AS part,
        l."at",
        CASE WHEN kind IN ('event', 'bytes') THEN wait ELSE coalesce(wait, 0) END AS wait,
        -- the end takes the ordinal that the next chunk would have had
        CASE kind WHEN 'response' THEN -1 WHEN 'gap' THEN -2 WHEN 'end' THEN chunks ELSE chunk END AS chunk,
        CASE
            WHEN kind = 'event' AND chars > 0 AND (
                event = 'content_block_delta' AND delta IS DISTINCT FROM 'signature_delta'
                OR event = 'content_block_start'
            ) THEN 'output'
            ELSE kind
        END::loaded.role AS role,
        try_cast(event AS loaded.event) AS event,
        CASE WHEN try_cast(event AS loaded.event) IS NULL THEN event END AS event_text,
        block,
        try_cast(delta AS loaded.delta) AS delta,
        CASE WHEN try_cast(delta AS loaded.delta) IS NULL THEN delta END AS delta_text,
        chars
    FROM lines AS l
    UNION ALL BY NAME
    -- before it, the chunks that ended inside a record: part -n .. -1; split holds (offset, at, wait)
    SELECT
        stream,
        seq,
        part,
        split[part][2] AS "at",
        split[part][3] AS wait,
        coalesce(chunk, chunks) + part AS chunk,
        'bytes'::loaded.role AS role
    FROM (SELECT *, unnest(range(-len(split), 0))::INTEGER AS part FROM lines WHERE split IS NOT NULL)
    UNION ALL BY NAME
    SELECT a.* EXCLUDE (coalesced, earliest, hold, gap)
    FROM loaded.arrivals AS a
    WHERE stream IN (FROM again)
),

neighbours AS (
    SELECT
        moments.* EXCLUDE (stream),
        n,
        lag({'seq': seq, 'part': part, 'at': moments."at", 'chunk': chunk, 'role': role}) OVER row_order AS before,
        lag(CASE WHEN role IN ('output', 'event') THEN chunk END IGNORE NULLS) OVER row_order AS event_chunk,
        lag(
            CASE
                WHEN role IN ('response', 'output', 'gap', 'end')
                    THEN {'at': moments."at", 'chunk': chunk, 'role': role, 'block': block, 'seq': seq}
            END IGNORE NULLS
        ) OVER row_order AS progress,
        lag(CASE WHEN role = 'response' OR wait >= 500000 THEN moments."at" END IGNORE NULLS)
            OVER row_order AS blocked
    FROM moments
    INNER JOIN numbered USING (stream)
    WINDOW row_order AS (PARTITION BY n ORDER BY seq, part)
),

measured AS (
    SELECT
        * EXCLUDE (before, event_chunk, progress, blocked),
        seq = before.seq AND part = before.part AS twice,
        chunk IS DISTINCT FROM before.chunk AS fresh,
        role <> 'gap' AND before.role IS DISTINCT FROM 'gap' AS known,
        greatest(0, m."at" - coalesce(before.at, 0)) AS silence,
        greatest(0, m."at" - wait - before.at) AS hold,
        role IN ('output', 'event') AND chunk IS NOT DISTINCT FROM event_chunk AS coalesced,
        CASE
            WHEN wait < 500000 AND m."at" - blocked >= 500000 AND role NOT IN ('response', 'gap') THEN blocked
        END AS earliest,
        m."at" - progress.at AS pause,
        progress.seq AS since_seq,
        progress.role AS since_role,
        progress.block AS since_block,
        progress.chunk AS since_chunk
    FROM neighbours AS m
)

SELECT
    n,
    seq,
    part,
    m."at",
    wait,
    chunk,
    role,
    event,
    event_text,
    block,
    delta,
    delta_text,
    chars,
    twice,
    fresh,
    role = 'output' AND chunk IS DISTINCT FROM since_chunk AS fresh_output,
    coalesced,
    CASE WHEN known THEN silence END AS silence,
    CASE WHEN known AND fresh THEN hold END AS hold,
    earliest,
    CASE WHEN role IN ('output', 'end') AND since_role <> 'gap' THEN pause END AS pause,
    CASE
        WHEN role = 'output' AND since_role = 'output'
            AND block IS NOT DISTINCT FROM since_block AND chunk <> since_chunk
            THEN pause
    END AS gap,
    since_seq,
    since_role
FROM measured AS m;
