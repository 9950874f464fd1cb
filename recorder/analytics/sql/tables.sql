-- What a database of recordings stores. Views over it are what is queried (views/); this schema may change with
-- any version: `meta.version` says which one it is, and another one is made anew from the recordings.
CREATE SCHEMA loaded;

CREATE TABLE loaded.meta (version VARCHAR);

-- How far each file was read. bytes: whole lines, of the plain text; size and modified: of the file as it was
-- then (size -1: there is more to read); tail: a hash of the last of those bytes.
CREATE TABLE loaded.sources (
    source INTEGER, file VARCHAR, segment VARCHAR, bytes BIGINT, size BIGINT, modified BIGINT,
    tail VARCHAR
);

-- In which files a stream lies: when one of them goes, so does what was read from it.
CREATE TABLE loaded.stream_sources (stream VARCHAR, source INTEGER);

CREATE TABLE loaded.errors (source INTEGER, line BIGINT, kind VARCHAR, reason VARCHAR, stream VARCHAR);

CREATE TYPE loaded.role AS ENUM ('response', 'output', 'event', 'bytes', 'gap', 'end');

-- What the words of a line say is one number there: some dozens, whatever the API comes to say. An odd number says
-- the same of an event that came in the same chunk as the event before (coalesced). 0 is a chunk that ended in a record.
CREATE TABLE loaded.words (word INTEGER, role loaded.role, event VARCHAR, delta VARCHAR, coalesced BOOLEAN);

-- What the API says as of now is there from the beginning, what else comes is added.
INSERT INTO loaded.words
SELECT 2 * place + coalesced::INTEGER, role, event, delta, coalesced
FROM (
    VALUES
    (0, 'bytes', NULL, NULL),
    (1, 'response', NULL, NULL),
    (2, 'gap', NULL, NULL),
    (3, 'end', NULL, NULL),
    (4, 'output', 'content_block_delta', 'text_delta'),
    (5, 'output', 'content_block_delta', 'thinking_delta'),
    (6, 'output', 'content_block_delta', 'input_json_delta'),
    (7, 'output', 'content_block_delta', 'citations_delta'),
    (8, 'event', 'content_block_delta', 'input_json_delta'),
    (9, 'event', 'content_block_delta', 'signature_delta'),
    (10, 'event', 'content_block_start', 'text'),
    (11, 'event', 'content_block_start', 'thinking'),
    (12, 'event', 'content_block_start', 'tool_use'),
    (13, 'event', 'content_block_stop', NULL),
    (14, 'event', 'message_start', NULL),
    (15, 'event', 'message_delta', NULL),
    (16, 'event', 'message_stop', NULL),
    (17, 'event', 'ping', NULL),
    (18, 'event', 'error', NULL)
) AS usual (place, role, event, delta)
CROSS JOIN (VALUES (false), (true)) AS either (coalesced);

-- What a line is, by what it says of itself; outputs: it has characters of output.
CREATE MACRO loaded.role_of(kind, event, delta, outputs) AS (
    CASE
        WHEN kind = 'event' AND outputs AND (
            event = 'content_block_delta' AND delta IS DISTINCT FROM 'signature_delta' OR event = 'content_block_start'
        ) THEN 'output'
        ELSE kind
    END
);

-- A count of tokens, as JSON; NULL where it is none.
CREATE MACRO loaded.tokens(value) AS (
    CASE WHEN json_type(value) IN ('BIGINT', 'UBIGINT') THEN try_cast(value AS BIGINT) END
);

-- The words by the hash of a line that says them.
CREATE VIEW loaded.spelling AS
SELECT hash(kind, event, delta, outputs) AS spelt, role, word
FROM (
    SELECT *, CASE role WHEN 'output' THEN 'event' ELSE role::VARCHAR END AS kind
    FROM loaded.words
    WHERE NOT coalesced
)
CROSS JOIN (VALUES (true), (false), (NULL)) AS either (outputs)
WHERE loaded.role_of(kind, event, delta, outputs) = role::VARCHAR;

-- One row per record of a stream but its request, and one per chunk that ended inside a record (part < 0).
-- Times in ns. load/arrivals.sql says what the columns are. Trying how to compress what hardly can be takes a fifth of
-- the time of storing it.
CREATE TABLE loaded.arrivals (
    stream VARCHAR,
    seq BIGINT,
    part INTEGER,
    "at" BIGINT,
    wait BIGINT USING COMPRESSION uncompressed,
    chunk BIGINT,
    word INTEGER,
    block BIGINT,
    chars BIGINT,
    earliest BIGINT,
    hold BIGINT,
    gap BIGINT USING COMPRESSION uncompressed
);

-- Gaps of all streams, counted: a gap of ns falls into a bucket whose bounds lie 2 % apart. Only changes are added:
-- what becomes of a stream that is loaded anew, or forgotten, is taken off by rows below 0.
CREATE MACRO loaded.gap_bucket(ns) AS (
    CASE WHEN ns < 1000 THEN 0 ELSE 1 + floor(ln(ns / 1000) / ln(1.02)) END::SMALLINT
);

CREATE TABLE loaded.gap_counts (model VARCHAR, bucket SMALLINT, gaps BIGINT);

-- The lines that are no arrivals alone: request, response, gap, end.
CREATE TABLE loaded.control (
    kind VARCHAR,
    stream VARCHAR,
    seq BIGINT,
    "at" BIGINT,
    wall BIGINT,
    mono BIGINT,
    call VARCHAR,
    attempt BIGINT,
    method VARCHAR,
    url VARCHAR,
    headers MAP(VARCHAR, VARCHAR),
    tags MAP(VARCHAR, VARCHAR),
    unknown VARCHAR [],
    request_model VARCHAR,
    streamed BOOLEAN,
    max_tokens BIGINT,
    messages BIGINT,
    tools BIGINT,
    status BIGINT,
    phases STRUCT(connect BIGINT [], tunnel BIGINT [], tls BIGINT [], send BIGINT [], headers BIGINT []),
    reused BOOLEAN,
    "end" VARCHAR,
    complete BOOLEAN,
    bytes BIGINT,
    chunks BIGINT,
    error STRUCT(type VARCHAR, message VARCHAR),
    message_id VARCHAR,
    model VARCHAR,
    stop_reason VARCHAR,
    input_tokens BIGINT,
    cache_read_tokens BIGINT,
    cache_write_tokens BIGINT,
    output_tokens BIGINT,
    thinking_tokens BIGINT,
    api_error VARCHAR,
    api_message VARCHAR,
    waited BIGINT,
    held BIGINT
);
