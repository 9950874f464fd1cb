-- blocks: one row per content block of a stream. *_s in seconds since the request was sent.
--   type            of its content_block_start; NULL when that is not recorded, as is start_s
--   first_delta_s, last_delta_s, deltas, chars   of its output, be it in deltas or whole in its start
CREATE OR REPLACE TEMP TABLE block_times AS
SELECT
    stream,
    block,
    arg_min(delta, seq) FILTER (event = 'content_block_start') AS type,
    min(e."at") FILTER (event = 'content_block_start') AS start,
    min(e."at") FILTER (output) AS first,
    max(e."at") FILTER (output) AS last,
    max(e."at") FILTER (event = 'content_block_stop') AS stop,
    count(*) FILTER (output) AS deltas,
    coalesce(sum(chars) FILTER (output), 0)::BIGINT AS chars
FROM events AS e
WHERE block IS NOT NULL
GROUP BY stream, block;

CREATE OR REPLACE TABLE blocks AS
SELECT
    stream,
    block,
    type,
    start / 1e9 AS start_s,
    first / 1e9 AS first_delta_s,
    last / 1e9 AS last_delta_s,
    stop / 1e9 AS stop_s,
    deltas,
    chars
FROM block_times;
