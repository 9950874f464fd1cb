-- One row per attempt that asked for a stream, in the order in which they were sent. What is not known is NULL.
--   model       that was asked for
--   input       tokens of the prompt, cached or not; cache_share: how much of it was read from the cache
--   last        the last attempt of its call; *_call_s count from the send of the first
SELECT
    s.stream,
    s.call,
    s.attempt,
    s.wall_ns // 1000000 AS wall_ms,
    coalesce(s.request_model, s.model, '(unknown)') AS model,
    s.tags,
    s.outcome,
    s.error_type,
    s.status,
    s.headers_s,
    s.first_event_s,
    s.ttft_s,
    s.ttft_text_s,
    s.stream_s,
    s.tail_s,
    s.duration_s,
    s.gap_p50_s,
    s.gap_p99_s,
    s.gap_max_s,
    s.tpot_s,
    s.stalled_s,
    s.hold_s,
    s.stalls,
    s.pings,
    s.events,
    s.output_chars,
    s.output_tokens,
    s.input_tokens + coalesce(s.cache_read_tokens, 0) + coalesce(s.cache_write_tokens, 0) AS input,
    s.cache_read_tokens / nullif(input, 0) AS cache_share,
    s.consumer_bound,
    c.stream IS NOT NULL AS last,
    c.ttft_call_s,
    c.duration_call_s
FROM streams AS s
LEFT JOIN calls AS c ON s.call = c.call AND s.stream = c.stream
WHERE s.wall_ns IS NOT NULL
    AND (s.streamed OR s.streamed IS NULL AND s.request_model IS NULL OR s.events > 0)
ORDER BY s.wall_ns, s.mono_ns, s.stream
