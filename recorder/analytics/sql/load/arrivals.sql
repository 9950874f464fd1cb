-- arrivals: one row per record of a stream but its request, and one per chunk that ended inside a record, of the
-- streams that are being loaded. Times in ns. Where records were dropped (a gap record) nothing is known: NULL.
--   role       response, output, event (of another kind), bytes, gap, end
--   word       what the record says: loaded.words
--   fresh      did not come in the same chunk as the row before
--   fresh_output  is an output, and the one before came in another chunk
--   silence    since the row before, or since the send
--   hold       from the row before to the read that brought this one; NULL if not fresh
--   earliest   it came at this time or later, and no later than "at": before "at" where the read that brought it
--              hardly blocked (less than 0.5 ms), and the last that did block, or the headers, ended 0.5 ms ago
--              or more; then it is that end. NULL where it is "at" itself
--   pause      of progress: since the headers or the output before
--   gap        a pause between two outputs of one block that came in different chunks
--   ordered    stands behind the row before; false when that is the same record
-- The rows of each stream are put in order once, then one look at the rows before tells all: lag() OVER () keeps to
-- that order, costs a tenth of windows by stream, and does not stop at the first row of a stream, so the stream is
-- asked for each time.
SET preserve_insertion_order = true;

CREATE OR REPLACE TEMP TABLE arrivals AS
WITH moments AS (
    SELECT n, seq, 0 AS part, l."at", wait, chunk, role, word, block, chars
    FROM lines AS l
    INNER JOIN loaded.spelling USING (spelt)
    UNION ALL BY NAME
    -- before it, the chunks that ended inside a record: part -n .. -1; split holds (offset, at, wait)
    SELECT
        n,
        seq,
        part,
        split[part][2] AS "at",
        split[part][3] AS wait,
        chunk + part AS chunk,
        'bytes'::loaded.role AS role,
        0 AS word
    FROM (SELECT *, unnest(range(-len(split), 0))::INTEGER AS part FROM lines WHERE split IS NOT NULL)
    UNION ALL BY NAME
    SELECT n, seq, part, a."at", wait, chunk, role, word - coalesced::INTEGER AS word, block, chars
    FROM stored AS a
    INNER JOIN loaded.words USING (word)
),

in_order AS (
    FROM moments
    ORDER BY n, seq, part
),

-- up to each row, itself included: the last event, the last that was waited for, the last progress
up_to AS (
    SELECT
        *,
        role IN ('output', 'event') AS is_event,
        role = 'response' OR wait >= 500000 AS blocks,
        role IN ('response', 'output', 'gap', 'end') AS is_progress,
        last_value(CASE WHEN is_event THEN n END IGNORE NULLS) OVER so_far AS event_n,
        last_value(CASE WHEN is_event THEN chunk END IGNORE NULLS) OVER so_far AS event_chunk,
        last_value(CASE WHEN blocks THEN n END IGNORE NULLS) OVER so_far AS blocked_n,
        last_value(CASE WHEN blocks THEN m."at" END IGNORE NULLS) OVER so_far AS blocked,
        last_value(CASE WHEN is_progress THEN n END IGNORE NULLS) OVER so_far AS progress_n,
        last_value(CASE WHEN is_progress THEN m."at" END IGNORE NULLS) OVER so_far AS progress,
        last_value(CASE WHEN is_progress THEN role END IGNORE NULLS) OVER so_far AS progress_role,
        last_value(CASE WHEN is_progress THEN chunk END IGNORE NULLS) OVER so_far AS progress_chunk,
        last_value(CASE WHEN is_progress THEN coalesce(block, -1) END IGNORE NULLS) OVER so_far AS progress_block
    FROM in_order AS m
    WINDOW so_far AS (ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
),

neighbours AS (
    SELECT
        * EXCLUDE (event_n, event_chunk, blocked_n, blocked, progress_n),
        lag(n) OVER () AS before_n,
        lag(seq) OVER () AS before_seq,
        lag(part) OVER () AS before_part,
        lag(u."at") OVER () AS before_at,
        lag(chunk) OVER () AS before_chunk,
        lag(event_n) OVER () AS event_n,
        lag(event_chunk) OVER () AS event_chunk,
        lag(blocked_n) OVER () AS blocked_n,
        lag(blocked) OVER () AS blocked,
        lag(progress_n) OVER () AS since_n,
        lag(progress) OVER () AS since_at,
        lag(progress_role) OVER () AS since_role,
        lag(progress_chunk) OVER () AS since_chunk,
        lag(progress_block) OVER () AS since_block
    FROM up_to AS u
),

measured AS (
    SELECT
        *,
        coalesce(before_n = n, false) AS follows,
        NOT follows OR chunk <> before_chunk AS fresh,
        role <> 'gap' AND (NOT follows OR before_chunk <> -2) AS known,
        since_n = n AND since_role = 'output' AS after_output
    FROM neighbours
)

SELECT
    n,
    seq,
    part,
    m."at",
    wait,
    chunk,
    role,
    word + coalesce(is_event AND event_n = n AND chunk = event_chunk, false)::INTEGER AS word,
    block,
    chars,
    fresh,
    role = 'output' AND NOT coalesce(since_n = n AND chunk = since_chunk, false) AS fresh_output,
    CASE WHEN known THEN greatest(0, m."at" - CASE WHEN follows THEN before_at ELSE 0 END) END AS silence,
    CASE WHEN known AND follows AND fresh THEN greatest(0, m."at" - wait - before_at) END AS hold,
    CASE
        WHEN wait < 500000 AND blocked_n = n AND m."at" - blocked >= 500000 AND role NOT IN ('response', 'gap')
            THEN blocked
    END AS earliest,
    CASE WHEN role IN ('output', 'end') AND since_n = n AND since_role <> 'gap' THEN m."at" - since_at END AS pause,
    CASE
        WHEN role = 'output' AND after_output AND coalesce(block, -1) = since_block AND chunk <> since_chunk THEN pause
    END AS gap,
    NOT (follows AND (before_seq > seq OR (before_seq = seq AND before_part >= part))) AS ordered
FROM measured AS m;

SET preserve_insertion_order = false;
