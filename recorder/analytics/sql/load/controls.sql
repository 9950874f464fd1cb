-- controls: one row per line that is no event. They stay in `lines`, too.
CREATE OR REPLACE TEMP TABLE controls AS
SELECT
    source,
    role AS kind,
    stream,
    seq,
    c."at",
    unnest(from_json(control, '{
        "format": "VARCHAR", "v": "BIGINT", "chunks": "BIGINT", "wall": "BIGINT", "mono": "BIGINT", "call": "VARCHAR",
        "attempt": "BIGINT", "method": "VARCHAR", "url": "VARCHAR", "headers": "MAP(VARCHAR, VARCHAR)",
        "tags": "MAP(VARCHAR, VARCHAR)", "unknown": ["VARCHAR"], "status": "BIGINT",
        "phases": {"connect": ["BIGINT"], "tunnel": ["BIGINT"], "tls": ["BIGINT"], "send": ["BIGINT"],
                   "headers": ["BIGINT"]},
        "reused": "BOOLEAN", "end": "VARCHAR", "complete": "BOOLEAN", "bytes": "BIGINT",
        "error": {"type": "VARCHAR", "message": "VARCHAR"}, "summary": "JSON", "waited": "BIGINT", "held": "BIGINT",
        "request": "JSON"
    }'))
FROM lines AS c
WHERE control IS NOT NULL;
