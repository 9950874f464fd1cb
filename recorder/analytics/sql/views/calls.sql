CREATE OR REPLACE VIEW calls AS
WITH grouped AS (
    SELECT
        call,
        count(*) AS attempts,
        min(attempt) AS first_attempt,
        arg_min(wall_ns, (attempt, mono_ns)) AS wall_ns,
        arg_min(mono_ns, (attempt, mono_ns)) AS first_mono_ns,
        arg_max(stream, (attempt, mono_ns)) AS stream,
        list(stream ORDER BY attempt, mono_ns) AS streams
    FROM loaded.streams
    WHERE call IS NOT NULL
    GROUP BY call
),

-- later_ns: from the send of the first attempt to that of the last
spanned AS (
    SELECT
        grouped.*,
        s.* EXCLUDE (stream, call, wall, wall_ns),
        CASE WHEN first_attempt = 0 THEN s.mono_ns - first_mono_ns END AS later_ns
    FROM grouped
    INNER JOIN loaded.streams AS s USING (stream)
)

SELECT
    call,
    attempts,
    stream,
    streams,
    make_timestamp(wall_ns // 1000) AS wall,
    wall_ns,
    model,
    request_model,
    status,
    outcome,
    error_type,
    request_id,
    trace_id,
    span_id,
    tags,
    (later_ns + round(ttft_s * 1e9)::BIGINT) / 1e9 AS ttft_call_s,
    ttft_s,
    CASE WHEN ttft_s IS NOT NULL THEN later_ns / 1e9 END AS retry_penalty_s,
    (later_ns + round(duration_s * 1e9)::BIGINT) / 1e9 AS duration_call_s
FROM spanned;

COMMENT ON VIEW calls IS 'One row per call of an SDK method, all its attempts together.';
COMMENT ON COLUMN calls.call IS 'Its id.';
COMMENT ON COLUMN calls.attempts IS 'Recorded.';
COMMENT ON COLUMN calls.stream IS 'The last attempt.';
COMMENT ON COLUMN calls.streams IS 'All attempts, in order.';
COMMENT ON COLUMN calls.wall IS 'When the first attempt began, UTC.';
COMMENT ON COLUMN calls.wall_ns IS 'The same, Unix time in ns.';
COMMENT ON COLUMN calls.model IS 'Of the last attempt, as are the columns up to tags.';
COMMENT ON COLUMN calls.request_model IS 'That was asked for.';
COMMENT ON COLUMN calls.status IS 'Of its response.';
COMMENT ON COLUMN calls.outcome IS 'As in streams.';
COMMENT ON COLUMN calls.error_type IS 'As in streams.';
COMMENT ON COLUMN calls.request_id IS 'As in streams.';
COMMENT ON COLUMN calls.trace_id IS 'As in streams.';
COMMENT ON COLUMN calls.span_id IS 'As in streams.';
COMMENT ON COLUMN calls.tags IS 'The application''s own.';
COMMENT ON COLUMN calls.ttft_call_s IS 'First output of the last attempt since the first attempt began, retries and back-off included. NULL: no output, or the first attempt is not recorded.';
COMMENT ON COLUMN calls.ttft_s IS 'First output of the last attempt, since that one began.';
COMMENT ON COLUMN calls.retry_penalty_s IS 'ttft_call_s - ttft_s.';
COMMENT ON COLUMN calls.duration_call_s IS 'End of the last attempt since the first began. NULL: the last was lost, or the first is not recorded.';
