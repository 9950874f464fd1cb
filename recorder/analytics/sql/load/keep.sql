-- Put what was made of the lines into the database, in place of what was known of the same streams.
DELETE FROM loaded.arrivals WHERE rowid IN (SELECT place FROM stored);
DELETE FROM loaded.blocks WHERE stream IN (FROM again);
DELETE FROM loaded.stalls WHERE stream IN (FROM again);
DELETE FROM loaded.streams WHERE stream IN (FROM again);

INSERT INTO loaded.arrivals BY NAME
SELECT stream, arrivals.* EXCLUDE (n, role, fresh, fresh_output, silence, pause, ordered)
FROM arrivals
INNER JOIN numbered USING (n);

INSERT INTO loaded.blocks BY NAME
SELECT stream, block_times.* EXCLUDE (n)
FROM block_times
INNER JOIN numbered USING (n);

INSERT INTO loaded.stalls BY NAME
SELECT stream, new_stalls.* EXCLUDE (n)
FROM new_stalls
INNER JOIN numbered USING (n);

INSERT INTO loaded.streams BY NAME
FROM new_streams;
