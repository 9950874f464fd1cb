-- Reads the files in the variable `files` into `lines`: SET VARIABLE files = ['a.jsonl', 'b.jsonl'].
-- The types are given and never inferred: inference is slow, and guesses columns wrong that are empty so far.
-- `object_size`: no line may be longer than twice as many bytes. `payloads`: keep what the events say.
INSERT INTO lines BY NAME
SELECT * REPLACE (
    CASE WHEN kind = 'request' OR getvariable('payloads') THEN data END AS data,
    CASE WHEN kind = 'request' OR kind = 'event' AND getvariable('payloads') THEN text END AS text
)
FROM read_json(
    getvariable('files'),
    format = 'newline_delimited',
    maximum_object_size = getvariable('object_size'),
    columns = {
        'kind': 'VARCHAR', 'stream': 'VARCHAR', 'seq': 'BIGINT', 'at': 'BIGINT',
        'format': 'VARCHAR', 'v': 'BIGINT',
        'wall': 'BIGINT', 'mono': 'BIGINT', 'call': 'VARCHAR', 'attempt': 'BIGINT', 'method': 'VARCHAR',
        'url': 'VARCHAR', 'headers': 'MAP(VARCHAR, VARCHAR)', 'tags': 'MAP(VARCHAR, VARCHAR)',
        'unknown': 'VARCHAR[]',
        'status': 'BIGINT',
        'phases': 'STRUCT(connect BIGINT[], tunnel BIGINT[], tls BIGINT[], send BIGINT[], headers BIGINT[])',
        'reused': 'BOOLEAN',
        'wait': 'BIGINT', 'chunk': 'BIGINT', 'event': 'VARCHAR', 'block': 'BIGINT', 'delta': 'VARCHAR',
        'chars': 'BIGINT', 'data': 'JSON', 'text': 'VARCHAR', 'split': 'BIGINT[][]',
        'end': 'VARCHAR', 'complete': 'BOOLEAN', 'bytes': 'BIGINT', 'chunks': 'BIGINT',
        'error': 'STRUCT(type VARCHAR, message VARCHAR)', 'summary': 'JSON',
        'waited': 'BIGINT', 'held': 'BIGINT'
    }
)
WHERE kind IN ('header', 'request', 'response', 'event', 'bytes', 'gap', 'end');
