-- Which streams were held up by the application that read them?
SELECT stream, model, sdk, duration_s, hold_s, hold_s / duration_s AS held
FROM streams
WHERE consumer_bound
ORDER BY hold_s DESC, stream
