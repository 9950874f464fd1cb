CREATE OR REPLACE VIEW gap_histogram AS
SELECT model, 1.016 ** bucket / 1e9 AS gap_s, gaps
FROM loaded.gap_counts;

COMMENT ON VIEW gap_histogram IS 'How many gaps (events.gap_s) of each length there are, by model: pooled percentiles without a look at the events.';
COMMENT ON COLUMN gap_histogram.model IS 'As in streams.';
COMMENT ON COLUMN gap_histogram.gap_s IS 'The middle of a step of 1.6 %: the gaps in it are within 0.8 % of this. Those of less than 1 ns stand at 1 ns.';
COMMENT ON COLUMN gap_histogram.gaps IS 'How many.';
