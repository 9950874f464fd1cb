-- found: the streams that are being loaded, and where. again: those of which something was loaded before; their rows
-- are made anew of the old records and the new. A record that is there already (its file was copied, or is read a
-- second time) counts once.
CREATE OR REPLACE TEMP TABLE found AS
SELECT stream, getvariable('sources')[file + 1]::INTEGER AS source
FROM (SELECT DISTINCT n, file FROM lines)
INNER JOIN numbered USING (n)
UNION
SELECT stream, getvariable('sources')[file + 1]::INTEGER AS source
FROM controls
WHERE kind <> 'header';

CREATE OR REPLACE TEMP TABLE known AS
SELECT stream, n
FROM numbered
WHERE stream IN (SELECT stream FROM loaded.stream_sources);

DELETE FROM lines
WHERE n IN (SELECT n FROM known)
    AND (n, seq) IN (
        SELECT (n, seq) FROM loaded.arrivals INNER JOIN known USING (stream)
    );

DELETE FROM controls
WHERE stream IN (SELECT stream FROM known)
    AND (kind, stream, seq) IN (
        SELECT (kind, stream, seq) FROM loaded.control WHERE stream IN (SELECT stream FROM known)
    );

CREATE OR REPLACE TEMP TABLE again AS
SELECT stream
FROM known
WHERE n IN (SELECT n FROM lines WHERE n IN (SELECT n FROM known))
    OR stream IN (SELECT stream FROM controls WHERE stream IS NOT NULL);

DELETE FROM numbered
WHERE stream IN (SELECT stream FROM known) AND stream NOT IN (FROM again);

INSERT INTO loaded.words
SELECT (SELECT count(*) FROM loaded.words) + 2 * place + coalesced::INTEGER AS word, role, event, delta, coalesced
FROM (
    SELECT *, row_number() OVER () - 1 AS place
    FROM (
        SELECT DISTINCT loaded.role_of(kind, event, delta, outputs) AS role, event, delta
        FROM strange
        EXCEPT
        SELECT role, event, delta
        FROM loaded.words
    )
)
CROSS JOIN (VALUES (false), (true)) AS either (coalesced);

INSERT INTO loaded.stream_sources
FROM found
EXCEPT
FROM loaded.stream_sources;
