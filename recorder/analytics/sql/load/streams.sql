-- new_streams: the row of each stream that is being loaded. views/streams.sql says what the columns are, and
-- recorder/core/timing.py computes the same of one stream: it says for each metric what it means.
CREATE OR REPLACE TEMP MACRO percentile_s(ordered, percent) AS (
    -- of sorted ns, interpolated linearly as by quantile_cont, but in whole numbers: the same on every machine
    ordered[1 + (len(ordered) - 1) * percent // 100]::HUGEINT * (100 - (len(ordered) - 1) * percent % 100)
    + ordered[least(2 + (len(ordered) - 1) * percent // 100, len(ordered))]::HUGEINT
    * ((len(ordered) - 1) * percent % 100)
) / 1e11;

-- of a W3C traceparent; one that is all zeros is none
CREATE OR REPLACE TEMP MACRO traced(header, part) AS (
    CASE
        WHEN NOT regexp_matches(header, '-0{32}-|-0{16}-')
            THEN nullif(
                regexp_extract(header, '^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?$', part), ''
            )
    END
);

CREATE OR REPLACE TEMP TABLE new_streams AS
WITH first_of AS (
    SELECT kind, stream, min(seq) AS seq
    FROM control
    GROUP BY kind, stream
),

requests AS (
    SELECT control.*
    FROM control
    INNER JOIN first_of USING (kind, stream, seq)
    WHERE kind = 'request'
),

responses AS (
    SELECT control.*
    FROM control
    INNER JOIN first_of USING (kind, stream, seq)
    WHERE kind = 'response'
),

ends AS (
    SELECT c.*, c."at" AS end_at, coalesce(api_message, error.message) AS error_message
    FROM control AS c
    INNER JOIN first_of USING (kind, stream, seq)
    WHERE kind = 'end'
),

dropped AS (
    SELECT stream, sum(chunks) AS dropped_chunks
    FROM control
    WHERE kind = 'gap'
    GROUP BY stream
),

arrived AS (
    SELECT
        n,
        min(t.first) FILTER (role IN ('output', 'event', 'bytes')) AS first_byte,
        min(t.first) FILTER (role IN ('output', 'event') AND event IS DISTINCT FROM 'ping') AS first_event,
        min(t.first) FILTER (event = 'content_block_delta') AS first_delta,
        min(t.first) FILTER (role = 'output' AND delta IN ('text', 'text_delta')) AS first_text,
        max(t.last) FILTER (role = 'output') AS last_output,
        max(t.last) AS last_at,
        sum(chars) FILTER (role = 'output') AS output_chars,
        sum(count) FILTER (role = 'output') AS outputs,
        sum(output_chunks) AS output_chunks,
        sum(count) FILTER (role IN ('output', 'event')) AS events,
        sum(count) FILTER (coalesced) AS coalesced,
        sum(censored) FILTER (role IN ('output', 'event')) AS censored,
        sum(count) FILTER (event = 'ping') AS pings,
        sum(count) FILTER (event = 'error') AS error_events,
        max(last_chunk) FILTER (role IN ('output', 'event', 'bytes')) AS last_chunk,
        sum(wait) AS wait,
        sum(hold) AS hold,
        max(silence) AS silence_max
    FROM tallies AS t
    GROUP BY n
),

output AS (
    SELECT n, min(a."at", 2) AS first_outputs
    FROM arrivals AS a
    WHERE role = 'output'
    GROUP BY n
),

paused AS MATERIALIZED (
    SELECT n, list_sort(list(gap)) AS gaps
    FROM arrivals
    WHERE gap IS NOT NULL
    GROUP BY n
),

spread AS (
    SELECT
        n,
        percentile_s(gaps, 50) AS gap_p50_s,
        percentile_s(gaps, 95) AS gap_p95_s,
        percentile_s(gaps, 99) AS gap_p99_s,
        gaps[-1] / 1e9 AS gap_max_s
    FROM paused
),

stalled AS (
    SELECT
        n,
        count(*) AS stalls,
        sum(stall) AS stalled,
        count(*) FILTER (stall > 30000000000) AS stalls_30,
        sum(stall) FILTER (stall > 30000000000) AS stalled_30
    FROM new_stalls
    GROUP BY n
),

tool_blocks AS (
    SELECT n, start, stop
    FROM block_times
    WHERE type = 'tool_use'
    QUALIFY row_number() OVER (PARTITION BY n ORDER BY start, block) = 1
),

thought AS (
    SELECT n, sum(last - first) AS thinking
    FROM block_times
    WHERE type = 'thinking'
    GROUP BY n
),

joined AS (
    SELECT
        numbered.stream,
        requests.call,
        requests.attempt,
        requests.wall,
        requests.mono,
        requests.method,
        requests.headers,
        requests.tags,
        requests.request_model,
        requests.streamed,
        requests.max_tokens,
        requests.messages,
        requests.tools,
        requests.unknown,
        responses."at" AS headers_at,
        responses.status,
        responses.headers AS response_headers,
        coalesce(responses.url, ends.url, requests.url) AS full_url,
        coalesce(responses.phases, ends.phases) AS phases,
        coalesce(responses.reused, ends.reused) AS reused,
        ends."end" AS ended,
        ends.complete,
        ends.bytes,
        ends.chunks,
        ends.end_at,
        ends.input_tokens,
        ends.cache_read_tokens,
        ends.cache_write_tokens,
        ends.output_tokens,
        ends.thinking_tokens,
        ends.api_error,
        ends.error.type AS exception,
        ends.error_message,
        ends.message_id,
        coalesce(ends.model, requests.request_model) AS model,
        ends.stop_reason,
        coalesce(dropped_chunks, 0)::BIGINT AS dropped_chunks,
        arrived.* EXCLUDE (n, wait, hold),
        output.* EXCLUDE (n),
        spread.* EXCLUDE (n),
        stalled.* EXCLUDE (n),
        -- an eager stream's reads are the tap's own
        coalesce(ends.waited, arrived.wait, 0)::HUGEINT AS wait,
        coalesce(ends.held, arrived.hold, 0)::HUGEINT AS hold,
        tool_blocks.start AS tool_start,
        tool_blocks.stop AS tool_stop,
        thinking,
        (last_output - first_outputs[1]) / 1e9 AS stream_s
    FROM numbered
    LEFT JOIN requests USING (stream)
    LEFT JOIN responses USING (stream)
    LEFT JOIN ends USING (stream)
    LEFT JOIN dropped USING (stream)
    LEFT JOIN arrived USING (n)
    LEFT JOIN output USING (n)
    LEFT JOIN spread USING (n)
    LEFT JOIN stalled USING (n)
    LEFT JOIN tool_blocks USING (n)
    LEFT JOIN thought USING (n)
)

SELECT
    stream,
    call,
    attempt,
    make_timestamp(wall // 1000) AS wall,
    wall AS wall_ns,
    mono AS mono_ns,
    method,
    full_url AS url,
    regexp_extract(full_url, '^(?:[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*)?([^?#]*)', 1) AS path,
    status,
    model,
    request_model,
    streamed,
    max_tokens,
    messages,
    tools,
    stop_reason,
    message_id,
    response_headers['request-id'] AS request_id,
    coalesce(
        headers['x-stainless-lang'] || ' ' || headers['x-stainless-package-version'], headers['user-agent']
    ) AS sdk,
    headers['anthropic-version'] AS anthropic_version,
    traced(headers['traceparent'], 1) AS trace_id,
    traced(headers['traceparent'], 2) AS span_id,
    tags,
    ended,
    complete,
    CASE
        WHEN ended IS NULL THEN 'lost'
        WHEN status >= 400 THEN 'http_error'
        WHEN error_events > 0 OR api_error IS NOT NULL THEN 'error_event'
        WHEN complete THEN 'complete'
        WHEN ended = 'failed' AND contains(exception, 'Timeout') THEN 'timeout'
        WHEN ended = 'failed' AND headers_at IS NULL THEN 'connect_failed'
        WHEN ended = 'failed' THEN 'failed'
        WHEN ended = 'closed' THEN 'closed'
        ELSE 'truncated'
    END AS outcome,
    CASE
        WHEN api_error IS NOT NULL THEN api_error
        WHEN outcome = 'http_error' THEN status::VARCHAR
        WHEN contains(exception, 'Timeout') THEN 'client_timeout_error'
        WHEN exception IS NOT NULL AND outcome = 'connect_failed' THEN 'connection_error'
        WHEN regexp_matches(
            exception, '(Read|Write|Close|Connect|Network|Protocol|Proxy|Transport|Connection\w*)Error$'
        ) THEN 'connection_error'
        ELSE exception
    END AS error_type,
    error_message,
    (phases.connect[2] - phases.connect[1]) / 1e9 AS connect_s,
    (phases.tunnel[2] - phases.tunnel[1]) / 1e9 AS tunnel_s,
    (phases.tls[2] - phases.tls[1]) / 1e9 AS tls_s,
    (phases.send[2] - phases.send[1]) / 1e9 AS send_s,
    phases.send[2] / 1e9 AS sent_s,
    reused,
    headers_at / 1e9 AS headers_s,
    first_byte / 1e9 AS first_byte_s,
    first_event / 1e9 AS first_event_s,
    first_delta / 1e9 AS first_delta_s,
    first_outputs[1] / 1e9 AS ttft_s,
    first_text / 1e9 AS ttft_text_s,
    tool_start / 1e9 AS ttf_tool_s,
    (tool_stop - tool_start) / 1e9 AS tool_args_s,
    thinking / 1e9 AS thinking_s,
    (first_outputs[2] - first_outputs[1]) / 1e9 AS second_s,
    stream_s,
    (end_at - last_output) / 1e9 AS tail_s,
    end_at / 1e9 AS duration_s,
    CASE WHEN stream_s <> 0 AND output_tokens > 1 THEN stream_s / (output_tokens - 1) END AS tpot_s,
    CASE WHEN stream_s <> 0 AND output_tokens > 1 THEN output_tokens / stream_s END AS output_tps,
    CASE WHEN stream_s <> 0 THEN coalesce(output_chars, 0) / stream_s END AS output_cps,
    gap_p50_s,
    gap_p95_s,
    gap_p99_s,
    gap_max_s,
    coalesce(stalls, 0) AS stalls,
    coalesce(stalled, 0) / 1e9 AS stalled_s,
    coalesce(stalls_30, 0) AS stalls_30,
    coalesce(stalled_30, 0) / 1e9 AS stalled_30_s,
    coalesce(silence_max, 0) / 1e9 AS silence_max_s,
    coalesce(pings, 0)::BIGINT AS pings,
    coalesce(chunks, last_chunk + 1, 0) AS chunks,
    coalesce(events, 0)::BIGINT AS events,
    bytes,
    coalesce(coalesced, 0)::BIGINT AS coalesced,
    coalesce(censored, 0)::BIGINT AS censored,
    dropped_chunks,
    coalesce(output_chars, 0)::BIGINT AS output_chars,
    coalesce(outputs, 0)::BIGINT AS outputs,
    coalesce(output_chunks, 0)::BIGINT AS output_chunks,
    wait / 1e9 AS wait_s,
    hold / 1e9 AS hold_s,
    coalesce(hold * 5 > last_at, false) AS consumer_bound,
    input_tokens,
    cache_read_tokens,
    cache_write_tokens,
    output_tokens,
    thinking_tokens,
    output_tokens IS NULL AS usage_partial,
    unknown
FROM joined;

DROP MACRO temp.percentile_s;
DROP MACRO temp.traced;
