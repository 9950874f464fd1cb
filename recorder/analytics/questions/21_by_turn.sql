-- Do later turns of a conversation wait longer?
SELECT (messages + 1) // 2 AS turn, count(ttft_s) AS n, median(ttft_s) AS ttft_p50_s
FROM streams
WHERE messages IS NOT NULL
GROUP BY turn
ORDER BY turn
