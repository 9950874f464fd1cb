CREATE OR REPLACE VIEW blocks AS
SELECT
    stream,
    block,
    type,
    start / 1e9 AS start_s,
    first / 1e9 AS first_delta_s,
    last / 1e9 AS last_delta_s,
    stop / 1e9 AS stop_s,
    deltas,
    chars
FROM loaded.blocks;

COMMENT ON VIEW blocks IS 'One row per content block of a stream. Times in s since the attempt began.';
COMMENT ON COLUMN blocks.stream IS 'The stream that it is of.';
COMMENT ON COLUMN blocks.block IS 'Its index.';
COMMENT ON COLUMN blocks.type IS 'text, thinking, tool_use, ...; NULL where its start is not recorded.';
COMMENT ON COLUMN blocks.start_s IS 'Its content_block_start; NULL where that is not recorded.';
COMMENT ON COLUMN blocks.first_delta_s IS 'Its first output, be it a delta or whole in its start; NULL: none.';
COMMENT ON COLUMN blocks.last_delta_s IS 'Its last output.';
COMMENT ON COLUMN blocks.stop_s IS 'Its content_block_stop; NULL: it did not stop.';
COMMENT ON COLUMN blocks.deltas IS 'How many events of it carried output.';
COMMENT ON COLUMN blocks.chars IS 'Unicode code points of its output.';
