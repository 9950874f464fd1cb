-- Of records that are there twice, one is left.
DELETE FROM lines
WHERE rowid NOT IN (SELECT min(rowid) FROM lines GROUP BY n, seq);

DELETE FROM controls
WHERE kind <> 'header' AND rowid NOT IN (SELECT min(rowid) FROM controls GROUP BY kind, stream, seq);
