-- block_times: one row per content block of the streams that are being loaded, in ns since the send.
--   type   of its content_block_start
--   first, last, deltas, chars   of its output, be it in deltas or whole in its start
CREATE OR REPLACE TEMP TABLE block_times AS
SELECT
    n,
    block,
    arg_min(coalesce(delta::VARCHAR, delta_text), seq) FILTER (event = 'content_block_start') AS type,
    min(a."at") FILTER (event = 'content_block_start') AS start,
    min(a."at") FILTER (role = 'output') AS first,
    max(a."at") FILTER (role = 'output') AS last,
    max(a."at") FILTER (event = 'content_block_stop') AS stop,
    count(*) FILTER (role = 'output') AS deltas,
    coalesce(sum(chars) FILTER (role = 'output'), 0)::BIGINT AS chars
FROM arrivals AS a
WHERE block IS NOT NULL AND role IN ('output', 'event')
GROUP BY n, block;
