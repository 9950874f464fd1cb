CREATE OR REPLACE VIEW events AS
SELECT
    stream,
    seq,
    a."at",
    wait,
    chunk,
    event,
    block,
    delta,
    chars,
    role = 'output' AS output,
    CASE WHEN a."at" IS NOT NULL THEN coalesced END AS coalesced,
    earliest IS NOT NULL AS censored,
    coalesce(earliest, a."at") / 1e9 AS earliest_s,
    a."at" / 1e9 AS at_s,
    gap / 1e9 AS gap_s,
    hold / 1e9 AS hold_s,
    NULL::JSON AS data,
    NULL::VARCHAR AS text
FROM loaded.arrivals AS a
INNER JOIN loaded.words USING (word)
WHERE role IN ('output', 'event');

COMMENT ON VIEW events IS 'One row per server-sent event.';
COMMENT ON COLUMN events.stream IS 'The stream that it is of.';
COMMENT ON COLUMN events.seq IS 'Its place among the records of the stream.';
COMMENT ON COLUMN events."at" IS 'When the chunk that completed it arrived: ns since the attempt began. A keyword: write "at", or use at_s.';
COMMENT ON COLUMN events.wait IS 'How long the read that delivered that chunk blocked, ns.';
COMMENT ON COLUMN events.chunk IS 'Ordinal of that chunk, from 0. Equal: they came together.';
COMMENT ON COLUMN events.event IS 'The event field; NULL where there was none.';
COMMENT ON COLUMN events.block IS 'Index of its content block.';
COMMENT ON COLUMN events.delta IS 'Type of the delta, or of the block that starts.';
COMMENT ON COLUMN events.chars IS 'Unicode code points of output.';
COMMENT ON COLUMN events.output IS 'It carries model output: text, thinking, tool input, citations; not signatures, not pings.';
COMMENT ON COLUMN events.coalesced IS 'It came in the same chunk as the event before: its gap is none.';
COMMENT ON COLUMN events.censored IS 'The bytes were there before the application asked for them: they came at some time from earliest_s to at_s.';
COMMENT ON COLUMN events.earliest_s IS 'It came then or later, s since the attempt began. Equal to at_s where not censored.';
COMMENT ON COLUMN events.at_s IS 'When it arrived, s since the attempt began.';
COMMENT ON COLUMN events.gap_s IS 'Since the output before, s, where that was in the same block and in another chunk; else NULL.';
COMMENT ON COLUMN events.hold_s IS 'Between the arrival before and the read that brought this one the application held the stream, s. NULL for all but the first record of a chunk, so it can be summed.';
COMMENT ON COLUMN events.data IS 'The payload as JSON; NULL where it is none. Not stored: recorder sql reads it from the recordings.';
COMMENT ON COLUMN events.text IS 'The payload where it is no JSON that every reader takes. Not stored: as data.';
