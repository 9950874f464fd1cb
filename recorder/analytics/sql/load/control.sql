-- control: the requests, responses, gaps and ends of the streams that are being loaded, those loaded before as well.
CREATE OR REPLACE TEMP TABLE control AS
SELECT
    * EXCLUDE (request),
    json_extract_string(request, '$.model') AS request_model,
    json_extract_string(request, '$.stream') = 'true' AS streamed,
    CASE WHEN json_type(request, '$.max_tokens') = 'UBIGINT'
        THEN try_cast(json_extract(request, '$.max_tokens') AS BIGINT) END AS max_tokens,
    CASE WHEN json_type(request, '$.messages') = 'ARRAY'
        THEN json_array_length(request, '$.messages')::BIGINT END AS messages,
    CASE WHEN json_type(request, '$.tools') = 'ARRAY'
        THEN json_array_length(request, '$.tools')::BIGINT END AS tools
FROM controls
WHERE kind <> 'header';

INSERT INTO loaded.control BY NAME
SELECT * EXCLUDE (source, format, v)
FROM control;

INSERT INTO control BY NAME
FROM loaded.control
WHERE stream IN (FROM again) AND (kind, stream, seq) NOT IN (SELECT (kind, stream, seq) FROM control);
