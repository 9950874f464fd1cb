CREATE OR REPLACE VIEW compat_aiperf AS
WITH first_chunks AS (
    SELECT stream, sum(chars) AS chars
    FROM (
        SELECT stream, chars
        FROM events
        WHERE output
        QUALIFY chunk = first_value(chunk) OVER (PARTITION BY stream ORDER BY seq)
    )
    GROUP BY stream
),

answers AS (
    SELECT stream, min(at_s) AS ttfo_s
    FROM events
    WHERE output AND delta NOT IN ('thinking_delta', 'thinking', 'redacted_thinking')
    GROUP BY stream
)

SELECT
    stream,
    ttft_s,
    ttfo_s,
    (duration_s - ttft_s) / nullif(output_tokens * (1 - first_chunks.chars / output_chars), 0) AS itl_s
FROM streams
LEFT JOIN first_chunks USING (stream)
LEFT JOIN answers USING (stream);

COMMENT ON VIEW compat_aiperf IS 'As NVIDIA AIPerf counts: TTFO to the first output that is no reasoning, ITL (latency - TTFT) / (tokens - tokens of the first chunk). The tokens of a chunk are not on the wire: they are its share of the characters.';
COMMENT ON COLUMN compat_aiperf.stream IS 'The stream.';
COMMENT ON COLUMN compat_aiperf.ttft_s IS 'First output of any kind.';
COMMENT ON COLUMN compat_aiperf.ttfo_s IS 'First output that is not thinking. NULL: none.';
COMMENT ON COLUMN compat_aiperf.itl_s IS 'Inter-token latency. NULL: tokens unknown, or all output came in one chunk.';
