-- The views with texts, over tables that are empty until a query needs them: joining nothing costs nothing.
CREATE SCHEMA IF NOT EXISTS texts;

CREATE OR REPLACE TABLE texts.events (stream VARCHAR, seq BIGINT, recorded_data JSON, recorded_text VARCHAR);
CREATE OR REPLACE TABLE texts.said (kind VARCHAR, stream VARCHAR, seq BIGINT, data JSON, text VARCHAR);
CREATE OR REPLACE TABLE texts.requests (stream VARCHAR, recorded_request JSON);

CREATE OR REPLACE VIEW events AS
SELECT e.* REPLACE (recorded_data AS data, recorded_text AS text)
FROM recording.main.events AS e
LEFT JOIN texts.events AS t ON t.stream = e.stream AND t.seq = e.seq;

CREATE OR REPLACE VIEW streams AS
SELECT s.* REPLACE (recorded_request AS request)
FROM recording.main.streams AS s
LEFT JOIN texts.requests AS t ON t.stream = s.stream;
