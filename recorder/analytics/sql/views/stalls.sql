CREATE OR REPLACE VIEW stalls AS
SELECT
    stream,
    seq,
    kind,
    block,
    type,
    start / 1e9 AS start_s,
    stall / 1e9 AS stall_s,
    hold / 1e9 AS hold_s,
    pings
FROM loaded.stalls;

COMMENT ON VIEW stalls IS 'One row per pause of more than 2 s without output: between outputs, before the first (from the headers on), or after the last (to the end).';
COMMENT ON COLUMN stalls.stream IS 'The stream that it is of.';
COMMENT ON COLUMN stalls.seq IS 'The record that ended it: an output, or the end.';
COMMENT ON COLUMN stalls.kind IS 'The first that holds: application (it held for more than half of the pause), before_first (no output had come yet), tool_buffering (a tool''s block was open for more than half of it), pinged (a ping came meanwhile), silent.';
COMMENT ON COLUMN stalls.block IS 'Of the output that ended it; at the end, the last that an event named.';
COMMENT ON COLUMN stalls.type IS 'Type of that block.';
COMMENT ON COLUMN stalls.start_s IS 'When it began, s since the attempt began.';
COMMENT ON COLUMN stalls.stall_s IS 'How long it was.';
COMMENT ON COLUMN stalls.hold_s IS 'Of that, held by the application.';
COMMENT ON COLUMN stalls.pings IS 'Pings that came meanwhile.';
