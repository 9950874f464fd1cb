-- events: one row per server-sent event. "at" and wait in ns as in the recording, *_s in seconds.
--   output     carries model output (text, thinking, tool input, citations; not signatures, not pings)
--   coalesced  came in the same chunk as the event before
--   gap_s      since the output before, if that was in the same block and in another chunk; else NULL
--   hold_s     what the application did between the arrival before and the read that brought this event;
--              NULL for all but the first record of a chunk, so that it can be summed
--   censored   the bytes were there before the application asked for them: they came at some time from
--              earliest_s to at_s (where it is false, these two are equal)
--   data       the payload as JSON; NULL if it is not, or holds half a surrogate pair: then `text` has it
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
    coalesced,
    earliest < a."at" AS censored,
    earliest / 1e9 AS earliest_s,
    a."at" / 1e9 AS at_s,
    gap / 1e9 AS gap_s,
    hold / 1e9 AS hold_s,
    coalesce(data, CASE WHEN json_valid(text) THEN text::JSON END) AS data,
    text
FROM arrivals AS a
WHERE role IN ('output', 'event');
