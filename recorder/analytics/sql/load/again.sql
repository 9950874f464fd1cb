-- found: the streams that are being loaded, and where. again: those of which something was loaded before; their rows
-- are made anew of the old records and the new. A record that is there already (its file was copied, or is read a
-- second time) counts once.
CREATE OR REPLACE TEMP TABLE found AS
SELECT DISTINCT stream, source
FROM lines
WHERE role <> 'header';

CREATE OR REPLACE TEMP TABLE known AS
SELECT DISTINCT stream
FROM found
WHERE stream IN (SELECT stream FROM loaded.stream_sources);

DELETE FROM lines
WHERE stream IN (FROM known)
    AND (stream, seq) IN (SELECT (stream, seq) FROM loaded.arrivals WHERE stream IN (FROM known));

DELETE FROM controls
WHERE stream IN (FROM known)
    AND (kind, stream, seq) IN (SELECT (kind, stream, seq) FROM loaded.control WHERE stream IN (FROM known));

CREATE OR REPLACE TEMP TABLE again AS
FROM known
WHERE stream IN (SELECT stream FROM lines WHERE role NOT IN ('header', 'request') AND stream IN (FROM known))
    OR stream IN (SELECT stream FROM controls WHERE stream IS NOT NULL);

CREATE OR REPLACE TEMP TABLE numbered AS
SELECT stream, (row_number() OVER ())::INTEGER AS n
FROM (SELECT DISTINCT stream FROM found)
WHERE stream IN (FROM again) OR stream NOT IN (FROM known);

INSERT INTO loaded.words
SELECT (SELECT count(*) FROM loaded.words) + 2 * place + coalesced::INTEGER AS word, role, event, delta, coalesced
FROM (
    SELECT *, row_number() OVER () - 1 AS place
    FROM (
        SELECT DISTINCT role, event, delta
        FROM lines
        WHERE role NOT IN ('header', 'request')
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
