-- lines: one row per line of the pieces that are being loaded, of whatever kind, as it stands there. Times in ns.
CREATE OR REPLACE TEMP TABLE pieces (file VARCHAR, source INTEGER);

CREATE OR REPLACE TEMP TABLE lines (
    file VARCHAR,
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
    request JSON,
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
