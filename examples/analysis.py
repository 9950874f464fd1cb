"""Why did users wait? From the recordings to the answer, one question at a time.

    python examples/analysis.py recordings/

What it prints of the recordings in fixtures/ is in analysis.txt beside it. Every question is plain SQL, so each
step can be changed and asked again; `recording.df(...)`, `.pl(...)` and `.arrow(...)` give the rows as DataFrames
of pandas and Polars and as Arrow tables.
"""

import sys

import recorder


def ask(question: str, query: str) -> None:
    """Print a question and the rows that answer it."""
    found = recording.sql(query)
    rows = [found.columns, *([show(value) for value in row] for row in found.fetchall())]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    print(f"\n{question}\n")
    for row in rows:
        print("  " + "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def show(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


recording = recorder.open(sys.argv[1] if len(sys.argv) > 1 else "fixtures/")

ask(
    "1. What happened? Attempts by how they ended; only `complete` is a whole answer.",
    """
    SELECT outcome, count(*) AS attempts, count(ttft_s) AS with_output
    FROM streams GROUP BY outcome ORDER BY attempts DESC, outcome
    """,
)
ask(
    "2. How long until something came? By call, retries included; `adjusted`: who got nothing waited for ever.",
    """
    SELECT
        c.model,
        count(*) AS calls,
        count(ttft_call_s) AS n,
        quantile_cont(ttft_call_s, 0.5) AS p50_s,
        quantile_cont(coalesce(ttft_call_s, 'inf'), 0.5) AS p50_adjusted_s,
        max(ttft_call_s) AS max_s
    FROM calls AS c INNER JOIN streams AS s USING (stream)
    WHERE json_extract_string(s.request, '$.stream') = 'true'
    GROUP BY c.model ORDER BY c.model
    """,
)
ask(
    "3. Where did that time go? Means, from the first attempt's send to the first text.",
    """
    SELECT
        c.model,
        avg(c.retry_penalty_s) AS retries_s,
        avg(s.headers_s) AS headers_s,
        avg(s.first_event_s - s.headers_s) AS to_event_s,
        avg(s.ttft_s - s.first_event_s) AS to_output_s,
        avg(s.ttft_text_s - s.ttft_s) AS thinking_s
    FROM calls AS c INNER JOIN streams AS s USING (stream)
    WHERE s.ttft_text_s IS NOT NULL
    GROUP BY c.model ORDER BY c.model
    """,
)
ask(
    "4. And once it came, did it flow? Every pause of more than 2 s, and what it was in.",
    """
    SELECT model, kind, type AS block, start_s, stall_s, stalls.pings
    FROM stalls INNER JOIN streams USING (stream)
    ORDER BY stall_s DESC LIMIT 10
    """,
)
ask(
    "5. How much of the streaming was that? The usual gap, the longest, and the share of the time in pauses.",
    """
    SELECT
        model,
        count(*) AS streams,
        median(gap_p50_s) AS usual_gap_s,
        max(gap_max_s) AS longest_gap_s,
        sum(stalled_s) / sum(duration_s) AS stalled_share
    FROM streams WHERE gap_max_s IS NOT NULL
    GROUP BY model ORDER BY model
    """,
)
ask(
    "6. Was it the server, or was it us? The time in which the application held the stream.",
    """
    SELECT
        count(*) AS streams,
        count(*) FILTER (consumer_bound) AS consumer_bound,
        sum(wait_s) AS waiting_for_the_server_s,
        sum(hold_s) AS held_by_the_application_s
    FROM streams WHERE events > 0
    """,
)
ask(
    "7. Who lost their answer? What to send to support, when it was the other side.",
    """
    SELECT outcome, error_type, status, request_id, duration_s, output_chars
    FROM streams WHERE outcome NOT IN ('complete', 'closed')
    ORDER BY wall_ns, mono_ns
    """,
)
