"""The calls of recordings as rows that become spans and data points: queries, and nothing of OpenTelemetry's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct

from recorder.core.semconv import MODEL_CALL

from .report import Tables
from .selection import Selection


class Moment(Struct):
    """Something in a stream: `at_ns` after its send."""

    name: str
    at_ns: int
    attributes: dict[str, Any]


class Attempt(Struct, kw_only=True):
    """One HTTP request, its times in Unix ns."""

    stream: str
    attempt: int
    start_ns: int
    end_ns: int
    method: str
    url: str
    status: int | None
    error: str | None
    """None when nothing went wrong."""
    moments: list[Moment]


class Call(Struct, kw_only=True):
    """One call, its times in Unix ns. `row`: the columns of _CALLS that describe it."""

    call: str
    start_ns: int
    end_ns: int
    attempts: list[Attempt]
    row: dict[str, Any]


def calls(tables: Tables, selection: Selection) -> Iterator[Call]:
    """The calls that asked a model for an answer, by their time. Raises QueryError."""
    for row in _rows(tables, f"WITH {_CALLS.format(selection.sql(), MODEL_CALL)} {_SPANS}"):
        attempts = [_attempt(one) for one in row.pop("tries")]
        start = row["wall_ns"]
        end = start + row["lasted_ns"] if row["lasted_ns"] is not None else max(one.end_ns for one in attempts)
        yield Call(call=row["call"], start_ns=start, end_ns=end, attempts=attempts, row=row)


def minutes(
    tables: Tables, selection: Selection, value: str, bounds: Sequence[float], step_ns: int
) -> Iterator[dict[str, Any]]:
    """What ended in each step of time, by attributes: count, sum, min, max and how many were up to each bound.

    `value`: a column of _CALLS, or `gap_s`, of which a call has many. Raises QueryError.
    """
    up_to = ", ".join(f"count(*) FILTER (value <= {bound})" for bound in bounds)
    is_gap = value == "gap_s"
    measured = _MINUTES.format(
        value=value if is_gap else f"sent.{value}",
        gaps="INNER JOIN events USING (stream)" if is_gap else "",
        step=step_ns,
        up_to=up_to,
    )
    yield from _rows(tables, f"WITH {_CALLS.format(selection.sql(), MODEL_CALL)} {measured}")


def _rows(tables: Tables, query: str) -> Iterator[dict[str, Any]]:
    answer = tables.query(query)
    names = [name for name, _ in answer.columns]
    for row in answer.rows:
        yield dict(zip(names, row, strict=True))


def _attempt(row: dict[str, Any]) -> Attempt:
    first: int | None = row.pop("ttft_ns")
    halts: list[dict[str, Any]] = row.pop("halts") or []
    moments = [Moment("first_output", first, {})] if first is not None else []
    moments += [Moment("stall", one.pop("at_ns"), one) for one in halts]
    return Attempt(**row, moments=sorted(moments, key=lambda one: one.at_ns))


_CALLS = r"""
{0},

-- of a stream that the application closed, nothing went wrong
errors AS (
    SELECT
        stream,
        CASE WHEN outcome NOT IN ('complete', 'closed') THEN coalesce(error_type, outcome) END AS error
    FROM streams
),

sent AS (
    SELECT
        c.call,
        c.stream,
        c.wall_ns,
        round(c.duration_call_s * 1e9)::BIGINT AS lasted_ns,
        c.duration_call_s,
        c.ttft_call_s,
        s.outcome,
        errors.error,
        s.request_model,
        s.model,
        s.message_id,
        s.trace_id,
        s.span_id,
        s.streaming,
        s.tags,
        if(s.stop_reason IS NULL, NULL, [s.stop_reason]) AS finish_reasons,
        try_cast(json_extract_string(s.request, '$.max_tokens') AS BIGINT) AS max_tokens,
        s.input_tokens + coalesce(s.cache_read_tokens, 0) + coalesce(s.cache_write_tokens, 0) AS all_input_tokens,
        s.cache_read_tokens,
        s.cache_write_tokens,
        s.output_tokens,
        s.thinking_tokens,
        nullif(regexp_extract(s.url, '^[a-z]+://(\[[^\]]*\]|[^/:?#]*)', 1), '') AS address,
        CASE
            WHEN address IS NULL THEN NULL
            ELSE coalesce(
                try_cast(regexp_extract(s.url, '^[a-z]+://(?:\[[^\]]*\]|[^/:?#]*):([0-9]+)', 1) AS BIGINT),
                if(s.url LIKE 'https:%', 443, 80)
            )
        END AS port,
        CASE
            WHEN address LIKE '%bedrock%' THEN 'aws.bedrock'
            WHEN address LIKE '%aiplatform.googleapis.com' THEN 'gcp.vertex_ai'
            ELSE 'anthropic'
        END AS provider
    FROM calls AS c
    INNER JOIN chosen AS s USING (stream)
    INNER JOIN errors USING (stream)
    WHERE s.events > 0
        OR regexp_matches(s.path, '{1}')
)
"""
_SPANS = """,

halts AS (
    SELECT
        stream,
        list({'at_ns': round(start_s * 1e9)::BIGINT, 'kind': kind, 'stall_s': stall_s} ORDER BY start_s) AS halts
    FROM stalls
    GROUP BY stream
),

-- of a stream without an end, what came last is all that is known
ends AS (
    SELECT stream, max(at_s) AS last_s
    FROM events
    WHERE stream IN (SELECT stream FROM streams WHERE duration_s IS NULL)
    GROUP BY stream
),

tries AS (
    SELECT
        t.call,
        list({
            'stream': t.stream,
            'attempt': t.attempt,
            'start_ns': t.wall_ns,
            'end_ns': t.wall_ns + round(coalesce(t.duration_s, last_s, t.headers_s, 0) * 1e9)::BIGINT,
            'method': t.method,
            'url': t.url,
            'status': t.status,
            'error': error,
            'ttft_ns': round(t.ttft_s * 1e9)::BIGINT,
            'halts': halts
        } ORDER BY t.attempt, t.mono_ns) AS tries
    FROM streams AS t
    INNER JOIN errors USING (stream)
    LEFT JOIN ends USING (stream)
    LEFT JOIN halts USING (stream)
    GROUP BY t.call
)

SELECT sent.*, tries.tries
FROM sent
INNER JOIN tries USING (call)
ORDER BY wall_ns, call
"""
_MINUTES = """,

measured AS (
    SELECT
        (wall_ns + lasted_ns) // {step} AS minute,
        provider,
        request_model,
        model,
        address,
        port,
        error,
        {value} AS value
    FROM sent
    {gaps}
    WHERE lasted_ns IS NOT NULL
)

SELECT
    * EXCLUDE (value),
    count(*) AS count,
    sum(value) AS sum,
    min(value) AS min,
    max(value) AS max,
    [{up_to}] AS up_to
FROM measured
WHERE value IS NOT NULL
GROUP BY ALL
ORDER BY minute, request_model, model, error
"""
