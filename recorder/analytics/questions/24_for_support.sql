-- Which requests should support look at? Errors of the server, and the slowest.
SELECT request_id, wall, model, outcome, error_type, status, ttft_s, duration_s, stalled_s
FROM streams
WHERE request_id IS NOT NULL AND (outcome NOT IN ('complete', 'closed') OR stalls > 0)
ORDER BY wall, stream
