CREATE OR REPLACE VIEW compat_guidellm AS
SELECT
    stream,
    ttft_s,
    (ttft_s + stream_s) / nullif(output_tokens, 0) AS tpot_s,
    CASE WHEN output_tokens > 1 THEN stream_s / (output_tokens - 1) END AS itl_s
FROM streams;

COMMENT ON VIEW compat_guidellm IS 'As GuideLLM counts: TPOT is the whole latency up to the last token over all tokens, the first included; ITL leaves the first out.';
COMMENT ON COLUMN compat_guidellm.stream IS 'The stream.';
COMMENT ON COLUMN compat_guidellm.ttft_s IS 'First output of any kind.';
COMMENT ON COLUMN compat_guidellm.tpot_s IS 'NULL: tokens unknown, or no output.';
COMMENT ON COLUMN compat_guidellm.itl_s IS 'NULL: tokens unknown or at most 1.';
