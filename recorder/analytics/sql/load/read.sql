-- Reads the files in the variable `files` into `lines`; `names` are the same without the escapes of a glob, `sources`
-- the numbers by which these files are known, `object_size` half of what a line may have in bytes. The types are
-- given and never inferred: inference is slow, and guesses columns wrong that are empty so far. What few lines have
-- is packed into one column: a table with a column for each of them takes twice as long.
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
    END AS source,
    CASE
        WHEN kind NOT IN ('event', 'bytes') THEN to_json({
            'format': format, 'v': v, 'wall': wall, 'mono': mono, 'chunks': chunks, 'call': call, 'attempt': attempt, 'method': method,
            'url': url, 'headers': headers, 'tags': tags, 'unknown': unknown, 'status': status, 'phases': phases, 'reused': reused,
            'end': l."end", 'complete': complete, 'bytes': bytes, 'error': error, 'summary': summary,
            'waited': waited, 'held': held,
            'request': coalesce(data, CASE WHEN json_valid(text) THEN text::JSON END)
        })
    END AS control
FROM read_json(
    getvariable('files'),
    format = 'newline_delimited',
    compression = 'none',
    filename = true,
    maximum_object_size = getvariable('object_size'),
    columns = {
        'kind': 'VARCHAR', 'stream': 'VARCHAR', 'seq': 'BIGINT', 'at': 'BIGINT', 'wait': 'BIGINT',
        'chunk': 'BIGINT', 'chunks': 'BIGINT', 'event': 'VARCHAR', 'block': 'BIGINT', 'delta': 'VARCHAR',
        'chars': 'BIGINT', 'split': 'BIGINT[][]',
        'format': 'VARCHAR', 'v': 'BIGINT',
        'wall': 'BIGINT', 'mono': 'BIGINT', 'call': 'VARCHAR', 'attempt': 'BIGINT', 'method': 'VARCHAR',
        'url': 'VARCHAR', 'headers': 'MAP(VARCHAR, VARCHAR)', 'tags': 'MAP(VARCHAR, VARCHAR)',
        'unknown': 'VARCHAR[]', 'data': 'JSON', 'text': 'VARCHAR',
        'status': 'BIGINT',
        'phases': 'STRUCT(connect BIGINT[], tunnel BIGINT[], tls BIGINT[], send BIGINT[], headers BIGINT[])',
        'reused': 'BOOLEAN',
        'end': 'VARCHAR', 'complete': 'BOOLEAN', 'bytes': 'BIGINT',
        'error': 'STRUCT(type VARCHAR, message VARCHAR)', 'summary': 'JSON',
        'waited': 'BIGINT', 'held': 'BIGINT'
    }
) AS l
WHERE kind IN ('header', 'request', 'response', 'event', 'bytes', 'gap', 'end');
