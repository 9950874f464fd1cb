-- How did streams end, and which do not tell their output tokens?
SELECT outcome, error_type, count(*) AS n, count(*) FILTER (usage_partial) AS without_usage
FROM streams
GROUP BY outcome, error_type
ORDER BY n DESC, outcome, error_type
