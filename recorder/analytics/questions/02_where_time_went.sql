-- Where did the time to the answer go? Medians of each part, of calls that got an answer.
SELECT
    s.request_model AS model,
    count(*) AS n,
    median(retry_penalty_s) AS retries_s,
    median(s.headers_s) AS headers_s,
    median(s.first_event_s - s.headers_s) AS headers_to_event_s,
    median(s.ttft_s - s.first_event_s) AS event_to_token_s,
    median(s.ttft_text_s - s.ttft_s) AS token_to_answer_s
FROM calls AS c
INNER JOIN streams AS s USING (stream)
WHERE s.ttft_s IS NOT NULL
GROUP BY s.request_model
ORDER BY n DESC, model
