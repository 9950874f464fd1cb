-- calls: one row per call of an SDK method, with all its attempts. *_s in seconds since the first attempt was
-- sent, so that retries and the waits between them count.
--   attempts         recorded
--   stream           the last attempt; outcome, error_type, status, model, request_id, tags are its own
--   streams          all attempts, in order
--   ttft_call_s      NULL: no output, or the first attempt is not recorded
--   retry_penalty_s  ttft_call_s - ttft_s of the last attempt
--   duration_call_s  NULL: the last attempt was lost, or the first is not recorded
CREATE OR REPLACE TABLE calls AS
WITH grouped AS (
    SELECT
        call,
        count(*) AS attempts,
        min(attempt) AS first_attempt,
        arg_min(wall_ns, (attempt, mono_ns)) AS wall_ns,
        arg_min(mono_ns, (attempt, mono_ns)) AS first_mono_ns,
        arg_max(stream, (attempt, mono_ns)) AS stream,
        list(stream ORDER BY attempt, mono_ns) AS streams
    FROM streams
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
    INNER JOIN streams AS s USING (stream)
)

SELECT
    call,
    attempts,
    stream,
    streams,
    make_timestamp(wall_ns // 1000) AS wall,
    wall_ns,
    model,
    status,
    outcome,
    error_type,
    request_id,
    tags,
    (later_ns + round(ttft_s * 1e9)::BIGINT) / 1e9 AS ttft_call_s,
    ttft_s,
    CASE WHEN ttft_s IS NOT NULL THEN later_ns / 1e9 END AS retry_penalty_s,
    (later_ns + round(duration_s * 1e9)::BIGINT) / 1e9 AS duration_call_s
FROM spanned;
