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
-- They have the columns of loaded.control, and what stands in no table.
CREATE OR REPLACE TEMP TABLE controls AS
SELECT
    NULL::BIGINT AS file,
    NULL::VARCHAR AS format,
    NULL::BIGINT AS v,
    NULL::BIGINT AS wait,
    NULL::BIGINT [] [] AS split,
    *
FROM loaded.control
WHERE false;

-- strange: events in words that loaded.words does not have
CREATE OR REPLACE TEMP TABLE strange (kind VARCHAR, event VARCHAR, delta VARCHAR, outputs BOOLEAN);
CREATE OR REPLACE TEMP TABLE numbered (stream VARCHAR, n UBIGINT);
