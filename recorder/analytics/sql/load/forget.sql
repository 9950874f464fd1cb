-- Forget the sources in the variable `gone`, and every stream that lies in one of them: also what other files have
-- of such a stream. Those files are read again from their beginning.
CREATE OR REPLACE TEMP TABLE forgotten AS
SELECT DISTINCT stream
FROM loaded.stream_sources
WHERE list_contains(getvariable('gone'), source);

UPDATE loaded.sources
SET bytes = 0, size = -1
WHERE source IN (SELECT source FROM loaded.stream_sources WHERE stream IN (FROM forgotten));

UPDATE loaded.gap_counts
SET gaps = gaps - forgotten_gaps
FROM (
    SELECT model, loaded.gap_bucket(gap) AS bucket, count(*) AS forgotten_gaps
    FROM loaded.arrivals
    INNER JOIN loaded.streams USING (stream)
    WHERE gap IS NOT NULL AND stream IN (FROM forgotten)
    GROUP BY ALL
) AS f
WHERE gap_counts.model IS NOT DISTINCT FROM f.model AND gap_counts.bucket = f.bucket;

DELETE FROM loaded.gap_counts WHERE gaps = 0;
DELETE FROM loaded.arrivals WHERE stream IN (FROM forgotten);
DELETE FROM loaded.blocks WHERE stream IN (FROM forgotten);
DELETE FROM loaded.stalls WHERE stream IN (FROM forgotten);
DELETE FROM loaded.streams WHERE stream IN (FROM forgotten);
DELETE FROM loaded.control WHERE stream IN (FROM forgotten);
DELETE FROM loaded.stream_sources WHERE stream IN (FROM forgotten);
DELETE FROM loaded.sources WHERE list_contains(getvariable('gone'), source);
DELETE FROM loaded.errors WHERE list_contains(getvariable('gone'), source);
