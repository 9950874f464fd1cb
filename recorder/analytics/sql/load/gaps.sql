-- Count the gaps of the streams that are being loaded, and take off what was counted of them before.
INSERT INTO loaded.gap_counts BY NAME
SELECT model, loaded.gap_bucket(gap) AS bucket, count(*) AS gaps
FROM arrivals
INNER JOIN (SELECT n, model FROM new_streams INNER JOIN numbered USING (stream)) USING (n)
WHERE gap IS NOT NULL
GROUP BY ALL
UNION ALL BY NAME
SELECT model, loaded.gap_bucket(gap) AS bucket, -count(*) AS gaps
FROM stored
INNER JOIN loaded.streams USING (stream)
WHERE gap IS NOT NULL
GROUP BY ALL;
