-- Does it get slower? p50 and p95 of the last 100 streams.
SELECT
    wall,
    stream,
    ttft_s,
    quantile_cont(ttft_s, 0.5) OVER last_ones AS p50_s,
    quantile_cont(ttft_s, 0.95) OVER last_ones AS p95_s,
    count(*) OVER last_ones AS n
FROM streams
WHERE ttft_s IS NOT NULL
WINDOW last_ones AS (ORDER BY wall, stream ROWS BETWEEN 99 PRECEDING AND CURRENT ROW)
ORDER BY wall, stream
