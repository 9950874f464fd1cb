-- tallies: the arrivals of each stream that say the same of the same block, together: what is counted and summed.
CREATE OR REPLACE TEMP TABLE tallies AS
SELECT tally.*, role, event, delta, coalesced
FROM (
    SELECT
        n,
        word,
        block,
        count(*) AS count,
        min(seq) AS seq,
        min(a."at") AS first,
        max(a."at") AS last,
        max(chunk) AS last_chunk,
        sum(chars) AS chars,
        count(*) FILTER (fresh_output) AS output_chunks,
        count(earliest) AS censored,
        sum(wait) FILTER (fresh) AS wait,
        sum(hold) AS hold,
        max(silence) AS silence,
        bool_and(ordered) AS ordered
    FROM arrivals AS a
    GROUP BY n, word, block
) AS tally
INNER JOIN loaded.words USING (word);
