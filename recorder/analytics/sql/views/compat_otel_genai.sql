CREATE OR REPLACE VIEW compat_otel_genai AS
SELECT stream, first_event_s AS time_to_first_chunk_s
FROM streams;

COMMENT ON VIEW compat_otel_genai IS 'The time to the first chunk of OpenTelemetry''s genai-anthropic instrumentation: the first event of any kind but a ping, which the SDK swallows.';
COMMENT ON COLUMN compat_otel_genai.stream IS 'The stream.';
COMMENT ON COLUMN compat_otel_genai.time_to_first_chunk_s IS 'Since the attempt began. NULL: no event.';
