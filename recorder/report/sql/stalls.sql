-- The longest pauses, the longest first.
SELECT stream, seq, kind, coalesce(type, '') AS type, start_s, stall_s, hold_s, pings
FROM stalls
ORDER BY stall_s DESC, stream, seq
LIMIT 20000
