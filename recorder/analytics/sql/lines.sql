-- lines: one row per line of the recordings, of whatever kind, as it stands there. Times in ns.
-- Internal: dropped when the other tables are made.
CREATE OR REPLACE TEMP TABLE lines (
    kind VARCHAR,
    stream VARCHAR,
    seq BIGINT,
    "at" BIGINT,
    -- header
    format VARCHAR,
    v BIGINT,
    -- request
    wall BIGINT,
    mono BIGINT,
    call VARCHAR,
    attempt BIGINT,
    method VARCHAR,
    url VARCHAR,
    headers MAP(VARCHAR, VARCHAR),
    tags MAP(VARCHAR, VARCHAR),
    unknown VARCHAR [],
    -- response
    status BIGINT,
    -- response, end
    phases STRUCT(connect BIGINT [], tunnel BIGINT [], tls BIGINT [], send BIGINT [], headers BIGINT []),
    reused BOOLEAN,
    -- event, bytes
    wait BIGINT,
    chunk BIGINT,
    event VARCHAR,
    block BIGINT,
    delta VARCHAR,
    chars BIGINT,
    data JSON,
    text VARCHAR,
    split BIGINT [] [],
    -- end, gap
    "end" VARCHAR,
    complete BOOLEAN,
    bytes BIGINT,
    chunks BIGINT,
    error STRUCT(type VARCHAR, message VARCHAR),
    summary JSON,
    waited BIGINT,
    held BIGINT
);
