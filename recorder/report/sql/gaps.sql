-- One row per stream: how many of its gaps lie in which bin, by the type of the block. Bin n goes from
-- 10^(n/8) to 10^((n+1)/8) seconds; gaps under 10 µs count as 10 µs.
WITH binned AS (
    SELECT
        e.stream,
        coalesce(b.type, '(unknown)') AS type,
        floor(8 * log10(greatest(e.gap_s, 1e-5)) + 1e-9)::INTEGER AS bin,
        count(*) AS n
    FROM events AS e
    LEFT JOIN blocks AS b ON b.stream = e.stream AND b.block = e.block
    WHERE e.gap_s IS NOT NULL
    GROUP BY ALL
)

SELECT stream, list(type ORDER BY type, bin), list(bin ORDER BY type, bin), list(n ORDER BY type, bin)
FROM binned
GROUP BY stream
