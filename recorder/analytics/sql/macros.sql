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

-- gap_quantiles: of the gaps of all streams pooled, by model and together (model NULL), from gap_histogram: at once,
-- however many events there are, and within 1 % of the gap that quantile_disc finds (or 1 us).
--   FROM gap_quantiles([0.5, 0.95, 0.99])
CREATE OR REPLACE MACRO gap_quantiles(quantiles) AS TABLE
WITH counted AS (
    SELECT model, grouping(model) AS pooled, from_s, to_s, sum(gaps) AS gaps
    FROM gap_histogram
    GROUP BY GROUPING SETS ((from_s, to_s), (model, from_s, to_s))
    HAVING pooled = 1 OR model IS NOT NULL
),

ranked AS (
    SELECT
        *,
        sum(gaps) OVER (PARTITION BY pooled, model) AS n,
        sum(gaps) OVER (PARTITION BY pooled, model ORDER BY from_s) AS up_to
    FROM counted
)

SELECT
    model,
    quantile,
    any_value(n)::BIGINT AS n,
    arg_min(greatest(sqrt(from_s * to_s), to_s / 2), from_s) AS gap_s
FROM ranked
CROSS JOIN (SELECT unnest(quantiles) AS quantile)
WHERE up_to >= quantile * n
GROUP BY pooled, model, quantile
ORDER BY pooled DESC, any_value(n) DESC, model, quantile;
