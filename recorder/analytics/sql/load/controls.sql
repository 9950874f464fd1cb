-- controls: one row per line that is no event, with all its fields. They are few and have many fields: reading these
-- of every line would take half as long again. So what is not spelt as events are is copied into a file, `controls`,
-- and read from there; the control character, which no JSON has in it, keeps lines whole.
COPY (
    SELECT line
    FROM read_csv(
        getvariable('files'),
        columns = {'line': 'VARCHAR'},
        header = false,
        auto_detect = false,
        compression = 'none',
        delim = E'\x01',
        quote = '',
        escape = '',
        new_line = '\n',
        max_line_size = 2 * getvariable('object_size')
    )
    WHERE NOT starts_with(line, '{"kind":"event",')
) TO (getvariable('controls')) (FORMAT csv, HEADER false, DELIMITER E'\x01', QUOTE '', ESCAPE '');

CREATE OR REPLACE TEMP TABLE controls AS
SELECT
    * EXCLUDE (data, text),
    coalesce(data, CASE WHEN json_valid(text) THEN text::JSON END) AS request
FROM read_json(
    getvariable('controls'),
    format = 'newline_delimited',
    compression = 'none',
    maximum_object_size = getvariable('object_size'),
    columns = {
        'kind': 'VARCHAR', 'stream': 'VARCHAR', 'seq': 'BIGINT', 'at': 'BIGINT', 'chunks': 'BIGINT',
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
)
WHERE kind IN ('header', 'request', 'response', 'gap', 'end');
