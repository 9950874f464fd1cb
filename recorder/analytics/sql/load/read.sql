-- Reads the files in the variable `files` into `lines`; `names` are the same without the escapes of a glob, `sources`
-- the numbers by which these files are known, `object_size` half of what a line may have in bytes. The types are
-- given and never inferred: inference is slow, and guesses columns wrong that are empty so far.
INSERT INTO lines BY NAME
SELECT
    CASE
        WHEN kind = 'event' AND chars > 0 AND (
            event = 'content_block_delta' AND delta IS DISTINCT FROM 'signature_delta' OR event = 'content_block_start'
        ) THEN 'output'
        ELSE kind
    END AS role,
    stream,
    seq,
    l."at",
    CASE WHEN kind IN ('event', 'bytes') THEN wait ELSE coalesce(wait, 0) END AS wait,
    CASE kind WHEN 'response' THEN -1 WHEN 'gap' THEN -2 WHEN 'end' THEN chunks ELSE chunk END AS chunk,
    event,
    block,
    delta,
    chars,
    split,
    CASE
        WHEN len(getvariable('sources')) = 1 THEN getvariable('sources')[1]
        ELSE getvariable('sources')[list_position(getvariable('names'), filename)]
    END AS source
FROM read_json(
    getvariable('files'),
    format = 'newline_delimited',
    compression = 'none',
    filename = true,
    maximum_object_size = getvariable('object_size'),
    columns = {
        'kind': 'VARCHAR', 'stream': 'VARCHAR', 'seq': 'BIGINT', 'at': 'BIGINT', 'wait': 'BIGINT',
        'chunk': 'BIGINT', 'chunks': 'BIGINT', 'event': 'VARCHAR', 'block': 'BIGINT', 'delta': 'VARCHAR',
        'chars': 'BIGINT', 'split': 'BIGINT[][]'
    }
) AS l
WHERE kind IN ('request', 'response', 'event', 'bytes', 'gap', 'end');
