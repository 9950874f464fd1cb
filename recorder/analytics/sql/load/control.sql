-- control: the requests, responses, gaps and ends of the streams that are being loaded, those loaded before as well.
CREATE OR REPLACE TEMP TABLE control AS
SELECT
    * EXCLUDE (request, asked),
    asked.model AS request_model,
    asked.stream = 'true' AS streamed,
    CASE WHEN json_type(asked.max_tokens) = 'UBIGINT' THEN try_cast(asked.max_tokens AS BIGINT) END AS max_tokens,
    CASE WHEN json_type(asked.messages) = 'ARRAY' THEN json_array_length(asked.messages)::BIGINT END AS messages,
    CASE WHEN json_type(asked.tools) = 'ARRAY' THEN json_array_length(asked.tools)::BIGINT END AS tools
FROM (
    SELECT *, from_json(
        request,
        '{"model": "VARCHAR", "stream": "VARCHAR", "max_tokens": "JSON", "messages": "JSON", "tools": "JSON"}'
    ) AS asked
    FROM controls
    WHERE kind <> 'header'
);

INSERT INTO loaded.control BY NAME
SELECT * EXCLUDE (source, format, v)
FROM control;

INSERT INTO control BY NAME
FROM loaded.control
WHERE stream IN (FROM again) AND (kind, stream, seq) NOT IN (SELECT (kind, stream, seq) FROM control);
