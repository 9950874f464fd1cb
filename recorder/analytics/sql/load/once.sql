-- Of records that are there twice, one is left.
DELETE FROM lines
WHERE rowid NOT IN (SELECT min(rowid) FROM lines GROUP BY kind = 'request', stream, seq) AND stream IS NOT NULL;
