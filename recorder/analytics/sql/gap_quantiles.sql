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
