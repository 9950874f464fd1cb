-- What the hashes in `lines` stand for that nothing else tells: streams of which there is no line but events, and
-- events of which no recording spoke so far. The files are read once more for them.
CREATE OR REPLACE TEMP TABLE said AS
SELECT DISTINCT stream, kind, event, delta, chars > 0 AS outputs
FROM read_json(
    getvariable('files'),
    format = 'newline_delimited',
    compression = 'none',
    maximum_object_size = getvariable('object_size'),
    columns = {'kind': 'VARCHAR', 'stream': 'VARCHAR', 'event': 'VARCHAR', 'delta': 'VARCHAR', 'chars': 'BIGINT'}
)
WHERE kind IN ('event', 'bytes');

INSERT INTO numbered
SELECT DISTINCT stream, hash(stream)
FROM said
WHERE stream IS NOT NULL AND hash(stream) NOT IN (SELECT n FROM numbered);

INSERT INTO strange
SELECT DISTINCT kind, event, delta, outputs
FROM said
WHERE hash(kind, event, delta, outputs) NOT IN (SELECT spelt FROM loaded.spelling);
