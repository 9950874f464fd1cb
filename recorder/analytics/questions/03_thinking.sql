-- Streams that think: first token against first token of the answer.
SELECT
    request_model AS model,
    count(*) AS n,
    median(ttft_s) AS ttft_p50_s,
    median(ttft_text_s) AS ttft_text_p50_s,
    median(thinking_s) AS thinking_p50_s
FROM streams
WHERE thinking_s IS NOT NULL
GROUP BY request_model
ORDER BY n DESC, model
