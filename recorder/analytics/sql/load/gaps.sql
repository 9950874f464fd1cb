-- Add the gaps of the streams that are being loaded to the histogram, and take away what was known of the same streams.
CREATE OR REPLACE TEMP TABLE gap_counts AS
SELECT model, bucket, sum(gaps)::BIGINT AS gaps
FROM (
    FROM loaded.gap_counts
    UNION ALL
    SELECT model, loaded.gap_bucket(gap) AS bucket, count(*) AS gaps
    FROM arrivals
    INNER JOIN numbered USING (n)
    INNER JOIN new_streams USING (stream)
    WHERE gap IS NOT NULL
    GROUP BY ALL
    UNION ALL
    SELECT model, loaded.gap_bucket(gap) AS bucket, -count(*) AS gaps
    FROM loaded.arrivals
    INNER JOIN loaded.streams USING (stream)
    WHERE gap IS NOT NULL AND stream IN (FROM again)
    GROUP BY ALL
)
GROUP BY model, bucket
HAVING sum(gaps) > 0;

DELETE FROM loaded.gap_counts;

INSERT INTO loaded.gap_counts
FROM gap_counts;
