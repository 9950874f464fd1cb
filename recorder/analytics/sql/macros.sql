-- goodput: the share of the calls sent that met every limit given, by the model asked for and together (model NULL). A call
-- without the number missed its limit; one that did not complete missed all.
--   FROM goodput(ttft := 2, gap := 1)
CREATE OR REPLACE MACRO goodput(ttft := NULL, tpot := NULL, duration := NULL, gap := NULL) AS TABLE
SELECT
    c.request_model AS model,
    count(*) AS calls,
    count(*) FILTER (
        c.outcome = 'complete'
        AND (ttft IS NULL OR coalesce(c.ttft_call_s <= ttft, false))
        AND (tpot IS NULL OR coalesce(s.tpot_s <= tpot, false))
        AND (duration IS NULL OR coalesce(c.duration_call_s <= duration, false))
        AND (gap IS NULL OR coalesce(s.gap_max_s, 0) <= gap)
    ) AS met,
    met / calls AS goodput
FROM calls AS c
INNER JOIN streams AS s ON s.stream = c.stream
GROUP BY GROUPING SETS ((), (c.request_model))
ORDER BY grouping(c.request_model) DESC, calls DESC, c.request_model;

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

-- gap_percentiles: the gaps of all streams pooled, by model and together (model NULL), from the histogram. Each is within
-- 0.8 % of quantile_disc of events.gap_s.
--   FROM gap_percentiles()
CREATE OR REPLACE MACRO gap_percentiles() AS TABLE
SELECT
    model,
    max(upto) AS gaps,
    min(gap_s) FILTER (upto >= 0.5 * of_all) AS gap_p50_s,
    min(gap_s) FILTER (upto >= 0.95 * of_all) AS gap_p95_s,
    min(gap_s) FILTER (upto >= 0.99 * of_all) AS gap_p99_s
FROM (
    SELECT
        place,
        model,
        gap_s,
        sum(gaps) OVER (PARTITION BY place, model ORDER BY gap_s) AS upto,
        sum(gaps) OVER (PARTITION BY place, model) AS of_all
    FROM (
        SELECT grouping(model) AS place, model, gap_s, sum(gaps) AS gaps
        FROM gap_histogram
        GROUP BY GROUPING SETS ((gap_s), (model, gap_s))
    )
)
GROUP BY place, model
ORDER BY place DESC, gaps DESC, model;
