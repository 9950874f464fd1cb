CREATE OR REPLACE VIEW compat_vllm AS
SELECT
    stream,
    ttft_s,
    CASE WHEN output_tokens > 1 THEN (duration_s - ttft_s) / (output_tokens - 1) END AS tpot_s,
    CASE WHEN output_chunks > 1 THEN stream_s / (output_chunks - 1) END AS itl_mean_s,
    duration_s AS e2el_s
FROM streams;

COMMENT ON VIEW compat_vllm IS 'As vllm bench serve counts: TTFT to the first content, TPOT (latency - TTFT) / (tokens - 1), ITL the mean gap between chunks with content.';
COMMENT ON COLUMN compat_vllm.stream IS 'The stream.';
COMMENT ON COLUMN compat_vllm.ttft_s IS 'First output of any kind.';
COMMENT ON COLUMN compat_vllm.tpot_s IS 'The tail of the body counts. NULL: tokens unknown or at most 1.';
COMMENT ON COLUMN compat_vllm.itl_mean_s IS 'Inter-token latency, which is one per chunk there. NULL: fewer than two chunks.';
COMMENT ON COLUMN compat_vllm.e2el_s IS 'End-to-end latency.';
