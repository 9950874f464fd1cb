-- again: streams of which something was loaded before; their rows are made anew of the old records and the new.
-- A record that is there already (its file was copied, or is read a second time) counts once.
CREATE OR REPLACE TEMP TABLE again AS
SELECT DISTINCT stream
FROM loaded.stream_sources
WHERE stream IN (SELECT stream FROM lines);

DELETE FROM lines
WHERE stream IN (FROM again) AND (stream, seq) IN (
    SELECT (stream, seq) FROM loaded.arrivals WHERE stream IN (FROM again)
    UNION ALL
    SELECT (stream, seq) FROM loaded.control WHERE stream IN (FROM again)
);

DELETE FROM again
WHERE stream NOT IN (SELECT stream FROM lines WHERE stream IS NOT NULL);

INSERT INTO loaded.stream_sources
SELECT DISTINCT lines.stream, pieces.source
FROM lines
INNER JOIN pieces USING (file)
WHERE lines.stream IS NOT NULL
EXCEPT
FROM loaded.stream_sources;
