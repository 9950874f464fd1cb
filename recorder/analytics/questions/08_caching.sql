-- Does caching cut the time to the first token? By size of the input.
SELECT
    CASE WHEN input < 10000 THEN 'to 10k' WHEN input < 50000 THEN 'to 50k' ELSE 'more' END AS input_size,
    cached,
    count(*) AS n,
    median(ttft_s) AS ttft_p50_s
FROM (
    SELECT
        ttft_s,
        input_tokens + coalesce(cache_read_tokens, 0) + coalesce(cache_write_tokens, 0) AS input,
        coalesce(cache_read_tokens, 0) > input / 2 AS cached
    FROM streams
    WHERE ttft_s IS NOT NULL AND input_tokens IS NOT NULL
)
GROUP BY ALL
ORDER BY min(input), cached
