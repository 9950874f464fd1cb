"""OpenAI's client, recorded, measured and replayed: by its transport, as any httpx2 client that reads such events.

What Claude's events alone can tell (time to the first token, tokens a second) is empty here. When events came is
not: the first one, and the time between them, without those that came in one chunk.

OPENAI_API_KEY=... python examples/openai_client.py
"""

import sys

import openai

import recorder

path = sys.argv[1] if len(sys.argv) > 1 else "recordings/"
ASK = {"model": "gpt-5-mini", "messages": [{"role": "user", "content": "Say hello"}], "stream": True}


def answer(client: openai.OpenAI) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in client.chat.completions.create(**ASK))


with recorder.Tap(path) as tap:
    http = openai.DefaultHttpxClient(transport=recorder.TapTransport(tap))
    live = answer(openai.OpenAI(http_client=http))

print(
    recorder.open(path).sql("""
        SELECT outcome, first_event_s, events, median(gap_s) AS gap_p50_s, max(gap_s) AS gap_max_s, duration_s
        FROM streams
        JOIN (
            SELECT stream, at_s - CASE WHEN NOT coalesced THEN lag(at_s) OVER in_order END AS gap_s
            FROM events
            WINDOW in_order AS (PARTITION BY stream ORDER BY seq)
        ) USING (stream)
        GROUP BY ALL
    """)
)

offline = openai.DefaultHttpxClient(transport=recorder.replay(path).transport)
replayed = answer(openai.OpenAI(http_client=offline, api_key="none", max_retries=0))
print(f"live:     {live}\nreplayed: {replayed}")
