-- How many events came at once, in one chunk?
SELECT events_in_chunk, count(*) AS chunks
FROM (SELECT stream, chunk, count(*) AS events_in_chunk FROM events GROUP BY stream, chunk)
GROUP BY events_in_chunk
ORDER BY events_in_chunk
