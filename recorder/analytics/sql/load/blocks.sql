-- block_times: one row per content block of the streams that are being loaded, in ns since the send.
--   type   of its content_block_start
--   first, last, deltas, chars   of its output, be it in deltas or whole in its start
CREATE OR REPLACE TEMP TABLE block_times AS
SELECT
    n,
    block,
    arg_min(delta, seq) FILTER (event = 'content_block_start') AS type,
    min(t.first) FILTER (event = 'content_block_start') AS start,
    min(t.first) FILTER (role = 'output') AS first,
    max(t.last) FILTER (role = 'output') AS last,
    max(t.last) FILTER (event = 'content_block_stop') AS stop,
    coalesce(sum(count) FILTER (role = 'output'), 0)::BIGINT AS deltas,
    coalesce(sum(chars) FILTER (role = 'output'), 0)::BIGINT AS chars
FROM tallies AS t
WHERE block IS NOT NULL AND role IN ('output', 'event')
GROUP BY n, block;
