-- Reads the lines of the files that are no events into `controls`, and what of them is an arrival into `lines`: a second
-- pass over all bytes, which parses no others.
-- JSON casts are strict: a value of another type is refused, as it is in read.sql.
INSERT INTO controls BY NAME
SELECT
    file,
    format,
    v::BIGINT AS v,
    c.wait::BIGINT AS wait,
    c.split::BIGINT [] [] AS split,
    kind,
    stream,
    seq::BIGINT AS seq,
    c."at"::BIGINT AS "at",
    wall::BIGINT AS wall,
    mono::BIGINT AS mono,
    call,
    attempt::BIGINT AS attempt,
    method,
    url,
    headers::MAP(VARCHAR, VARCHAR) AS headers,
    tags::MAP(VARCHAR, VARCHAR) AS tags,
    unknown::VARCHAR [] AS unknown,
    asked.model AS request_model,
    asked.stream = 'true' AS streamed,
    CASE WHEN json_type(asked.max_tokens) = 'UBIGINT' THEN try_cast(asked.max_tokens AS BIGINT) END AS max_tokens,
    CASE WHEN json_type(asked.messages) = 'ARRAY' THEN json_array_length(asked.messages)::BIGINT END AS messages,
    CASE WHEN json_type(asked.tools) = 'ARRAY' THEN json_array_length(asked.tools)::BIGINT END AS tools,
    status::BIGINT AS status,
    CASE
        WHEN took IS NOT NULL THEN {
            'connect': took['connect']::BIGINT [],
            'tunnel': took['tunnel']::BIGINT [],
            'tls': took['tls']::BIGINT [],
            'send': took['send']::BIGINT [],
            'headers': took['headers']::BIGINT []
        }
    END AS phases,
    reused::BOOLEAN AS reused,
    c."end",
    complete::BOOLEAN AS complete,
    bytes::BIGINT AS bytes,
    chunks::BIGINT AS chunks,
    CASE WHEN why IS NOT NULL THEN {'type': why['type'], 'message': why['message']} END AS error,
    summary.id AS message_id,
    summary.model AS model,
    summary.stop_reason AS stop_reason,
    loaded.tokens(summary.usage.input_tokens) AS input_tokens,
    loaded.tokens(summary.usage.cache_read_input_tokens) AS cache_read_tokens,
    loaded.tokens(summary.usage.cache_creation_input_tokens) AS cache_write_tokens,
    loaded.tokens(summary.usage.output_tokens) AS output_tokens,
    loaded.tokens(summary.usage.output_tokens_details.thinking_tokens) AS thinking_tokens,
    summary.error.type AS api_error,
    summary.error.message AS api_message,
    waited::BIGINT AS waited,
    held::BIGINT AS held
FROM (
    SELECT
        *,
        phases::MAP(VARCHAR, JSON) AS took,
        error::MAP(VARCHAR, VARCHAR) AS why,
        coalesce(data, from_json(
            CASE WHEN kind = 'request' AND json_valid(text) THEN text::JSON END,
            '{"model": "VARCHAR", "stream": "VARCHAR", "max_tokens": "JSON", "messages": "JSON", "tools": "JSON"}'
        )) AS asked
    FROM (
        SELECT file, unnest(from_json(line, '{
            "kind": "VARCHAR", "stream": "VARCHAR", "seq": "JSON", "at": "JSON", "wait": "JSON", "split": "JSON",
            "format": "VARCHAR", "v": "JSON", "wall": "JSON", "mono": "JSON", "call": "VARCHAR", "attempt": "JSON",
            "method": "VARCHAR", "url": "VARCHAR", "headers": "JSON", "tags": "JSON", "unknown": "JSON", "text": "VARCHAR",
            "data": {"model": "VARCHAR", "stream": "VARCHAR", "max_tokens": "JSON", "messages": "JSON", "tools": "JSON"},
            "status": "JSON", "phases": "JSON", "reused": "JSON", "end": "VARCHAR",
            "complete": "JSON", "bytes": "JSON", "chunks": "JSON", "error": "JSON",
            "summary": {"id": "VARCHAR", "model": "VARCHAR", "stop_reason": "VARCHAR", "usage": {
                "input_tokens": "JSON", "cache_read_input_tokens": "JSON", "cache_creation_input_tokens": "JSON",
                "output_tokens": "JSON", "output_tokens_details": {"thinking_tokens": "JSON"}
            }, "error": {"type": "VARCHAR", "message": "VARCHAR"}},
            "waited": "JSON", "held": "JSON"
        }'))
        FROM (
            SELECT line, file_index AS file
            FROM read_csv(
                getvariable('files'),
                auto_detect = false,
                header = false,
                delim = chr(1),
                quote = '',
                escape = '',
                comment = '',
                new_line = '\n',
                compression = 'none',
                max_line_size = 2 * getvariable('object_size'),
                buffer_size = 2 * getvariable('object_size'),
                columns = {'line': 'VARCHAR'}
            )
            WHERE NOT starts_with(line, '{"kind":"event"') AND NOT starts_with(line, '{"kind":"bytes"')
        )
    )
    WHERE kind IN ('header', 'request', 'response', 'gap', 'end')
) AS c;

INSERT INTO lines BY NAME
SELECT
    CASE WHEN stream IS NOT NULL THEN hash(stream) END AS n,
    hash(kind, NULL::VARCHAR, NULL::VARCHAR, NULL::BOOLEAN) AS spelt,
    seq,
    c."at",
    coalesce(wait, 0) AS wait,
    CASE kind WHEN 'response' THEN -1 WHEN 'gap' THEN -2 ELSE chunks END AS chunk,
    split,
    file
FROM controls AS c
WHERE kind IN ('response', 'gap', 'end');

-- Those that had not ended when they were loaded may go on without a line of their own.
INSERT INTO numbered
SELECT stream, hash(stream)
FROM (
    SELECT stream
    FROM controls
    WHERE stream IS NOT NULL
    UNION
    SELECT stream
    FROM loaded.streams
    WHERE ended IS NULL
);
