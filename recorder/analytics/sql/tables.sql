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

INSERT INTO loaded.words VALUES (0, 'bytes', NULL, NULL, false), (1, 'bytes', NULL, NULL, true);

-- One row per record of a stream but its request, and one per chunk that ended inside a record (part < 0).
-- Times in ns. load/arrivals.sql says what the columns are.
CREATE TABLE loaded.arrivals (
    stream VARCHAR,
    seq BIGINT,
    part INTEGER,
    "at" BIGINT,
    wait BIGINT,
    chunk BIGINT,
    word INTEGER,
    block BIGINT,
    chars BIGINT,
    earliest BIGINT,
    hold BIGINT,
    gap BIGINT
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
    summary JSON,
    waited BIGINT,
    held BIGINT
);
