-- goodput: the share of the calls sent that met every limit given, by the model asked for and together (model NULL). A call
-- without the number missed its limit; one that did not complete missed all.
--   FROM goodput(ttft := 2, gap := 1)
CREATE OR REPLACE MACRO goodput(ttft := NULL, tpot := NULL, duration := NULL, gap := NULL) AS TABLE
SELECT model, calls, met, met / calls AS goodput
FROM (
    SELECT
        c.request_model AS model,
        grouping(c.request_model) AS together,
        count(*) AS calls,
        count(*) FILTER (
            c.outcome = 'complete'
            AND (ttft IS NULL OR coalesce(c.ttft_call_s <= ttft, false))
            AND (tpot IS NULL OR coalesce(s.tpot_s <= tpot, false))
            AND (duration IS NULL OR coalesce(c.duration_call_s <= duration, false))
            AND (gap IS NULL OR coalesce(s.gap_max_s, 0) <= gap)
        ) AS met
    FROM calls AS c
    INNER JOIN streams AS s ON s.stream = c.stream
    GROUP BY GROUPING SETS ((), (c.request_model))
)
ORDER BY together DESC, calls DESC, model;

-- fluidity: by stream, the share of its output (in characters) that was there when somebody who begins to read
-- at `start_s`, at `chars_per_s`, came to it. late_s: how far behind the stream fell, at worst.
--   SELECT median(fluidity) FROM fluidity(start_s := 2, chars_per_s := 20)
CREATE OR REPLACE MACRO fluidity(start_s := 2, chars_per_s := 20) AS TABLE
SELECT
    stream,
    sum(chars) FILTER (at_s <= due_s) / sum(chars) AS fluidity,
    greatest(0, max(at_s - due_s)) AS late_s
FROM (
    SELECT
        stream,
        chars,
        at_s,
        start_s + coalesce(
            sum(chars) OVER (PARTITION BY stream ORDER BY seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0
        ) / chars_per_s AS due_s
    FROM events
    WHERE output
)
GROUP BY stream;
