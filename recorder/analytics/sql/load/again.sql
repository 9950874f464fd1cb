-- found: the streams that are being loaded, and where. again: those of which something was loaded before; their rows
-- are made anew of the old records and the new. A record that is there already (its file was copied, or is read a
-- second time) counts once. stored: what is there of them; all streams that are there are looked at once, other columns
-- only where these stand.
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
WHERE stream IN (SELECT stream FROM found) AND stream IN (SELECT stream FROM loaded.stream_sources);

CREATE OR REPLACE TEMP TABLE places AS
SELECT a.rowid AS place, known.*
FROM loaded.arrivals AS a
INNER JOIN known USING (stream);

CREATE OR REPLACE TEMP TABLE stored AS
SELECT places.*, seq, part, a."at", wait, chunk, word, block, chars, gap
FROM loaded.arrivals AS a
INNER JOIN places ON a.rowid = place;

DELETE FROM lines
WHERE n IN (SELECT n FROM known) AND (n, seq) IN (SELECT (n, seq) FROM stored);

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

DELETE FROM stored
WHERE stream NOT IN (FROM again);

DELETE FROM numbered
WHERE stream NOT IN (SELECT stream FROM found)
    OR (stream IN (SELECT stream FROM known) AND stream NOT IN (FROM again));

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
