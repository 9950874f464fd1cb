-- Reads the texts of the files in the variable `files` into `texts.said`.
INSERT INTO texts.said
SELECT kind, stream, seq, coalesce(data, CASE WHEN json_valid(text) THEN text::JSON END), text
FROM read_json(
    getvariable('files'),
    format = 'newline_delimited',
    compression = 'none',
    maximum_object_size = getvariable('object_size'),
    columns = {'kind': 'VARCHAR', 'stream': 'VARCHAR', 'seq': 'BIGINT', 'data': 'JSON', 'text': 'VARCHAR'}
)
WHERE kind IN ('request', 'event');
