-- Each record once, also when its file was copied.
INSERT INTO texts.events
SELECT stream, seq, any_value(data), any_value(text)
FROM texts.said
WHERE kind = 'event'
GROUP BY stream, seq;

INSERT INTO texts.requests
SELECT stream, arg_min(data, seq)
FROM texts.said
WHERE kind = 'request'
GROUP BY stream;

DROP TABLE texts.said;
