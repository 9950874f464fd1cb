-- Reads the events of the files in the variable `files` into `lines`; `object_size` is half of what a line may have in
-- bytes. The types are given and never inferred: inference is slow, and guesses columns wrong that are empty so far.
-- Each column costs, be it empty: what events do not have is read from the other lines alone (control_lines.sql).
INSERT INTO lines BY NAME
SELECT
    CASE WHEN stream IS NOT NULL THEN hash(stream) END AS n,
    hash(kind, event, delta, chars > 0) AS spelt,
    seq,
    l."at",
    wait,
    chunk,
    block,
    chars,
    split,
    file_index AS file
FROM read_json(
    getvariable('files'),
    format = 'newline_delimited',
    compression = 'none',
    maximum_object_size = getvariable('object_size'),
    columns = {
        'kind': 'VARCHAR', 'stream': 'VARCHAR', 'seq': 'BIGINT', 'at': 'BIGINT', 'wait': 'BIGINT',
        'chunk': 'BIGINT', 'event': 'VARCHAR', 'block': 'BIGINT', 'delta': 'VARCHAR', 'chars': 'BIGINT',
        'split': 'BIGINT[][]'
    }
) AS l
WHERE kind IN ('event', 'bytes');
