-- What the lines of the pieces say that are being loaded; times in ns.
-- lines: one row per line that is an arrival, of any kind but `request`
--   file      its place in the variable `sources`, from 0
--   n         the stream: the hash of its name, which `numbered` tells, because numbers sort and group at a fraction
--             of the cost; of a million streams loaded at once two have the same one once in 40 million loads
--   spelt     the hash of what the words of the line say: loaded.spelling tells the number that is stored
--   wait      0 where none is told, but in an event and in bytes, which have to
--   chunk     -1 in a response, -2 in a gap; an end takes the ordinal that the next chunk would have had
CREATE OR REPLACE TEMP TABLE lines (
    file BIGINT,
    n UBIGINT,
    spelt UBIGINT,
    seq BIGINT,
    "at" BIGINT,
    wait BIGINT,
    chunk BIGINT,
    block BIGINT,
    chars BIGINT,
    split BIGINT [] []
);

-- controls: one row per line that is no event. All but header and request stand in `lines`, too.
CREATE OR REPLACE TEMP TABLE controls (
    file BIGINT,
    format VARCHAR,
    v BIGINT,
    wait BIGINT,
    split BIGINT [] [],
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

-- strange: events in words that loaded.words does not have
CREATE OR REPLACE TEMP TABLE strange (kind VARCHAR, event VARCHAR, delta VARCHAR, outputs BOOLEAN);
CREATE OR REPLACE TEMP TABLE numbered (stream VARCHAR, n UBIGINT);
