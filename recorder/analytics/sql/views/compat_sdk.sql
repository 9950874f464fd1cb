CREATE OR REPLACE VIEW compat_sdk AS
SELECT
    c.call,
    c.stream,
    s.first_delta_s + (s.mono_ns - f.mono_ns) / 1e9 AS time_to_first_chunk_s
FROM calls AS c
INNER JOIN streams AS s ON s.stream = c.stream
INNER JOIN streams AS f ON f.stream = c.streams[1];

COMMENT ON VIEW compat_sdk IS 'The time_to_first_chunk of the Anthropic SDK''s tracing spans: the first content_block_delta of any kind, an empty one too, since the call began, retries included.';
COMMENT ON COLUMN compat_sdk.call IS 'The call.';
COMMENT ON COLUMN compat_sdk.stream IS 'Its last attempt.';
COMMENT ON COLUMN compat_sdk.time_to_first_chunk_s IS 'NULL: no delta.';
