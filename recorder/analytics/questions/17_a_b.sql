-- Is B slower than A? Difference of the medians of ttft_s with a 95 % interval (1,000 resamples), for the first two
-- values of the tag `variant`; without that tag, for the two models with the most streams.
WITH labelled AS (
    SELECT
        CASE WHEN (SELECT count(tags['variant']) FROM streams) > 0 THEN tags['variant'] ELSE request_model END AS variant,
        ttft_s
    FROM streams
    WHERE ttft_s IS NOT NULL
),

variants AS (
    SELECT variant, count(*) AS n, row_number() OVER (ORDER BY count(*) DESC, variant) AS place
    FROM labelled
    WHERE variant IS NOT NULL
    GROUP BY variant
    QUALIFY place <= 2
),

samples AS (
    SELECT place, n, list(ttft_s ORDER BY ttft_s) AS ordered
    FROM labelled
    INNER JOIN variants USING (variant)
    GROUP BY place, n
),

medians AS (
    SELECT
        run,
        place,
        list_median([ordered[1 + (hash(run, place, i) % n)::BIGINT] FOR i IN range(n)]) AS resampled
    FROM samples, range(1000) AS runs (run)
),

differences AS (
    SELECT run, max(resampled) FILTER (place = 2) - max(resampled) FILTER (place = 1) AS difference
    FROM medians
    GROUP BY run
)

SELECT
    max(variant) FILTER (place = 1) AS a,
    max(variant) FILTER (place = 2) AS b,
    max(list_median(ordered)) FILTER (place = 1) AS a_p50_s,
    max(list_median(ordered)) FILTER (place = 2) AS b_p50_s,
    b_p50_s - a_p50_s AS b_minus_a_s,
    (SELECT quantile_cont(difference, 0.025) FROM differences) AS from_s,
    (SELECT quantile_cont(difference, 0.975) FROM differences) AS to_s
FROM samples
INNER JOIN variants USING (place)
