CREATE OR REPLACE VIEW gap_histogram AS
SELECT
    model,
    CASE WHEN bucket = 0 THEN 0 ELSE 1e-6 * 1.02 ** (bucket - 1) END AS from_s,
    1e-6 * 1.02 ** bucket AS to_s,
    sum(gaps)::BIGINT AS gaps
FROM loaded.gap_counts
GROUP BY model, bucket
HAVING sum(gaps) > 0;

COMMENT ON VIEW gap_histogram IS 'Gaps of all streams pooled (events.gap_s), counted as they were loaded: buckets 2 % wide.';
COMMENT ON COLUMN gap_histogram.model IS 'As in streams.';
COMMENT ON COLUMN gap_histogram.from_s IS 'Shortest gap that is counted here.';
COMMENT ON COLUMN gap_histogram.to_s IS 'The gaps are shorter than this.';
COMMENT ON COLUMN gap_histogram.gaps IS 'How many there are.';
