-- control: the requests, responses, gaps and ends of the streams that are being loaded, those loaded before as well.
CREATE OR REPLACE TEMP TABLE control AS
SELECT * EXCLUDE (file, format, v, wait, split)
FROM controls
WHERE kind <> 'header';

INSERT INTO loaded.control BY NAME
FROM control;

INSERT INTO control BY NAME
FROM loaded.control
WHERE stream IN (FROM again) AND (kind, stream, seq) NOT IN (SELECT (kind, stream, seq) FROM control);
