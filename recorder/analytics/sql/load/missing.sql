-- Streams without a request are left out of `streams` and `calls`.
DELETE FROM loaded.errors
WHERE kind = 'missing' AND stream NOT IN (SELECT stream FROM loaded.streams WHERE call IS NULL);

INSERT INTO loaded.errors BY NAME
SELECT
    stream,
    min(source) AS source,
    'missing' AS kind,
    'stream ' || stream || ' has no request record; left out' AS reason
FROM loaded.streams
INNER JOIN loaded.stream_sources USING (stream)
WHERE call IS NULL AND stream NOT IN (SELECT stream FROM loaded.errors WHERE kind = 'missing')
GROUP BY stream;
