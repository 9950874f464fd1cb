-- The tables that are stored as they are computed: run once, behind the steps of a load of nothing.
CREATE TABLE loaded.blocks AS SELECT ''::VARCHAR AS stream, * EXCLUDE (n) FROM block_times LIMIT 0;
CREATE TABLE loaded.stalls AS SELECT ''::VARCHAR AS stream, * EXCLUDE (n) FROM new_stalls LIMIT 0;
CREATE TABLE loaded.streams AS FROM new_streams LIMIT 0;
