-- lines: one row per line of the pieces that are being loaded, of whatever kind, as it stands there; times in ns.
--   control   what only lines have that are no events
CREATE OR REPLACE TEMP TABLE lines (
    source INTEGER,
    kind VARCHAR,
    stream VARCHAR,
    seq BIGINT,
    "at" BIGINT,
    wait BIGINT,
    chunk BIGINT,
    chunks BIGINT,
    event VARCHAR,
    block BIGINT,
    delta VARCHAR,
    chars BIGINT,
    split BIGINT [] [],
    control JSON
);
