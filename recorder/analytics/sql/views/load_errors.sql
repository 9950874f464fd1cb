CREATE OR REPLACE VIEW load_errors AS
SELECT file, line, kind, reason
FROM loaded.errors
INNER JOIN loaded.sources USING (source);

COMMENT ON VIEW load_errors IS 'One row per line that was left out.';
COMMENT ON COLUMN load_errors.file IS 'The file.';
COMMENT ON COLUMN load_errors.line IS 'Number of the line, from 1; NULL where it is no one line.';
COMMENT ON COLUMN load_errors.kind IS 'corrupt (no record), torn (the unfinished last line of a killed process, before a new header), missing (records that others show to have been there).';
COMMENT ON COLUMN load_errors.reason IS 'What is wrong with it.';
