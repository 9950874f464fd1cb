-- Every pause of more than 2 s: where, why, and whether pings came meanwhile.
SELECT stream, model, kind, type, start_s, stall_s, stalls.hold_s, stalls.pings
FROM stalls
INNER JOIN streams USING (stream)
ORDER BY stall_s DESC, stream, seq
