-- lines: one row per line of the pieces that are being loaded, of whatever kind; times in ns.
--   role      its kind, but `output` for an event that carries model output: in a delta, or in a block that arrives whole
--   wait      0 where none is told, but in an event and in bytes, which have to
--   chunk     -1 in a response, -2 in a gap; an end takes the ordinal that the next chunk would have had
--   control   what only lines have that are no events
CREATE OR REPLACE TEMP TABLE lines (
    source INTEGER,
    role VARCHAR,
    stream VARCHAR,
    seq BIGINT,
    "at" BIGINT,
    wait BIGINT,
    chunk BIGINT,
    event VARCHAR,
    block BIGINT,
    delta VARCHAR,
    chars BIGINT,
    split BIGINT [] [],
    control JSON
);
