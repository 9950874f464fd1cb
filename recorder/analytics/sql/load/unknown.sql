-- What nobody knows of imported streams becomes NULL, where it would be 0. `_NEEDED` in recorder/core/timing.py lists
-- the same columns, FORMAT.md ("Imported") says what the names mean.
CREATE OR REPLACE TEMP TABLE untimed AS
SELECT n
FROM new_streams
INNER JOIN numbered USING (stream)
WHERE list_contains(unknown, 'body');

UPDATE arrivals
SET "at" = NULL, wait = NULL, chunk = NULL, hold = NULL, earliest = NULL, gap = NULL
WHERE n IN (FROM untimed);

UPDATE block_times
SET start = NULL, first = NULL, last = NULL, stop = NULL
WHERE n IN (FROM untimed);

DELETE FROM new_stalls
WHERE n IN (FROM untimed);

UPDATE new_streams
SET first_byte_s = NULL, first_event_s = NULL, first_delta_s = NULL, ttft_s = NULL, ttft_text_s = NULL, ttf_tool_s = NULL,
    tool_args_s = NULL, thinking_s = NULL, second_s = NULL, stream_s = NULL, tail_s = NULL, tpot_s = NULL,
    output_tps = NULL, output_cps = NULL, gap_p50_s = NULL, gap_p95_s = NULL, gap_p99_s = NULL, gap_max_s = NULL,
    stalls = NULL, stalled_s = NULL, stalls_30 = NULL, stalled_30_s = NULL, silence_max_s = NULL, chunks = NULL,
    output_chunks = NULL, coalesced = NULL, censored = NULL, wait_s = NULL, hold_s = NULL, consumer_bound = NULL
WHERE list_contains(unknown, 'body');

UPDATE new_streams
SET headers_s = NULL
WHERE list_contains(unknown, 'headers');

UPDATE new_streams
SET duration_s = NULL
WHERE list_contains(unknown, 'end');

UPDATE new_streams
SET wall = NULL, wall_ns = NULL
WHERE list_contains(unknown, 'wall');

UPDATE new_streams
SET status = NULL
WHERE list_contains(unknown, 'response');
