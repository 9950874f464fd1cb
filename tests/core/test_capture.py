"""What of a stream is kept: the user's rules, and recordings without text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw
from msgspec.structs import replace

from recorder.analytics.database import connect
from recorder.core import wire
from recorder.core.attempt import Attempt
from recorder.core.capture import Capture
from recorder.core.lines import encode_line
from recorder.core.plain import PIECE
from recorder.core.records import Bytes, End, ErrorInfo, Event, Header, Request, StreamRecord, Unknown
from recorder.core.redact import Secrets
from recorder.core.rules import Given, RuleError
from recorder.core.timing import stalls, timing
from recorder.log.reader import find_segments, read_records
from recorder.log.verify import verify
from tests.corpus import CorpusStream, marker, streams

FIXTURES = Path(__file__).parents[2] / "fixtures"
HEADER = Header(format="sse-recording", v=1, segment="s", wall=1, mono=1, recorder="0")
ASK = {
    "model": "claude-test",
    "max_tokens": 10,
    "system": "be secretive",
    "messages": [{"role": "user", "content": "secretive words"}],
    "thinking": {"type": "enabled", "budget_tokens": 1024, "why": "secretive"},
    "metadata": {"user_id": "secretive-user"},
    "stop_sequences": ["secretive"],
}


def request(attempt: Attempt, body: bytes, **fields: Any) -> Request:
    given: dict[str, Any] = {
        "wall": 1,
        "mono": 1,
        "method": "POST",
        "url": "/v1/messages",
        "headers": [],
        **fields,
    }
    return attempt.request(body=body, **given)


def stream(
    body: bytes, chunks: Iterable[bytes] | None = None, *, name: str = "s", kind: str = "text/event-stream"
) -> list[StreamRecord]:
    attempt = Attempt(stream=name, call="c", attempt=0, secrets=Secrets())
    records: list[StreamRecord] = [request(attempt, json.dumps(ASK).encode(), tags={"feature": "chat"})]
    records.append(attempt.response(at=10**8, status=200, headers=[("content-type", kind)]))
    at = 10**8
    for n, chunk in enumerate(chunks or [body[n : n + 700] for n in range(0, len(body), 700)]):
        at += 10**7 * (n % 7) + (3 * 10**9 if n % 50 == 49 else 0)
        records += attempt.chunk(at, 10**6, chunk)
    return records + attempt.end(at + 10**8, 1, "read")


def of_corpus(one: CorpusStream, name: str = "s") -> list[StreamRecord]:
    return stream(one.body, one.chunks, name=name)


def reduced(records: Iterable[StreamRecord], *rules: Given, mode: Any = "timing") -> list[StreamRecord]:
    capture = Capture(mode, rules)
    return [capture(record) for record in records]


def text_of(records: Iterable[StreamRecord]) -> str:
    return b"".join(encode_line(record) for record in records).decode()


def of_files(path: Path) -> dict[str, list[StreamRecord]]:
    found: dict[str, list[StreamRecord]] = {}
    for segment in find_segments(path):
        for _, record in read_records(segment, report=lambda _: None):
            if not isinstance(record, Header | Unknown):
                found.setdefault(record.stream, []).append(record)
    return found


@marker
def test_a_recording_without_text_has_the_same_metrics_whatever_the_stream() -> None:
    for one in streams():
        records = of_corpus(one)
        without = reduced(records)
        assert timing(without) == timing(records), one.file
        assert stalls(without) == stalls(records), one.file


def test_a_fixture_without_text_has_the_same_metrics() -> None:
    found = of_files(FIXTURES)
    assert len(found) >= 10
    for name, records in found.items():
        assert timing(reduced(records)) == timing(records), name
        assert stalls(reduced(records)) == stalls(records), name


def test_the_tables_are_the_same_but_for_what_was_said(tmp_path: Path) -> None:
    tables: dict[str, dict[str, list[Any]]] = {}
    for mode in ("full", "timing"):
        file = tmp_path / f"{mode}.jsonl"
        kept = [r for records in of_files(FIXTURES).values() for r in reduced(records, mode=mode)]
        file.write_bytes(b"".join(map(encode_line, [HEADER, *kept])))
        database = connect([file])
        words = "c NOT IN ('request', 'messages', 'tools', 'error_message', 'data', 'text')"
        tables[mode] = {
            name: database.execute(f"SELECT COLUMNS(lambda c: {words}) FROM {name} ORDER BY ALL").fetchall()
            for name in ("streams", "stalls", "blocks", "calls", "events")
        }
    assert tables["full"]["streams"]
    for name, rows in tables["full"].items():
        assert tables["timing"][name] == rows, name


@marker
def test_a_recording_without_text_still_has_sizes_that_are_checked(tmp_path: Path) -> None:
    for n, one in enumerate(streams()[::9]):
        file = tmp_path / f"{n}.jsonl"
        records = of_corpus(one)
        without = reduced(records)
        file.write_bytes(b"".join(map(encode_line, [HEADER, *without])))
        assert [check.problems for check in verify([file])] == [[]], one.file

        place, event = next((n, r) for n, r in enumerate(without) if isinstance(r, Event))
        without[place] = replace(event, size=(event.size or 0) + 1)
        file.write_bytes(b"".join(map(encode_line, [HEADER, *without])))
        assert ["bytes" in problem.reason for problem in verify([file])[0].problems] == [True], one.file


def test_nothing_that_was_said_is_left() -> None:
    body = b"".join(
        f"event: {kind}\nid: secretive\ndata: {json.dumps(value)}\n\n".encode()
        for kind, value in [
            ("message_start", {"type": "message_start", "message": {"id": "msg_1", "model": "claude-test",
                                                                    "usage": {"input_tokens": 3, "note": "secretive a"}}}),
            ("content_block_start", {"type": "content_block_start", "index": 0,
                                     "content_block": {"type": "tool_use", "name": "secretive", "input": {"a": "secretive"}}}),
            ("content_block_delta", {"type": "content_block_delta", "index": 0,
                                     "delta": {"type": "text_delta", "text": "secretive"}}),
            ("error", {"type": "error", "error": {"type": "overloaded_error", "message": "secretive"}}),
            ("secretive words", {"type": "secretive words"}),
        ]
    )  # fmt: skip
    records = stream(b": secretive\n\n" + body + b"data: secretive")
    end = records[-1]
    assert isinstance(end, End)
    records[-1] = replace(end, error=ErrorInfo(type="httpx2.ReadError", message="secretive"))
    assert "secretive" in text_of(records)

    without = reduced(records)
    assert "secretive" not in text_of(without)
    first = without[0]
    assert isinstance(first, Request)
    assert first.body == {
        "model": "claude-test", "max_tokens": 10, "thinking": {"type": "enabled", "budget_tokens": 1024}
    }  # fmt: skip
    assert first.tags == {"feature": "chat"}
    assert first.redacted == ("timing",)
    last = without[-1]
    assert isinstance(last, End)
    assert last.summary
    assert last.summary.error
    assert last.summary.error.type == "overloaded_error"
    assert last.summary.usage == {"input_tokens": 3}
    assert reduced(without) == without


def body_without(*rules: Given, body: Any = None) -> Any:
    attempt = Attempt(stream="s", call="c", attempt=0, secrets=Secrets())
    (kept,) = reduced([request(attempt, json.dumps(ASK if body is None else body).encode())], *rules, mode="full")
    assert isinstance(kept, Request)
    return kept.body, kept.redacted


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("$.a", {"a": "[redacted]", "b": [{"c": 1, "d": "x"}, {"c": 2}], "e": {"a": 5}}),
        ("$.b[*].c", {"a": "t", "b": [{"c": "[redacted]", "d": "x"}, {"c": "[redacted]"}], "e": {"a": 5}}),
        ("$.b[-1]", {"a": "t", "b": [{"c": 1, "d": "x"}, "[redacted]"], "e": {"a": 5}}),
        ("$['b'][0].d", {"a": "t", "b": [{"c": 1, "d": "[redacted]"}, {"c": 2}], "e": {"a": 5}}),
        ("$..a", {"a": "[redacted]", "b": [{"c": 1, "d": "x"}, {"c": 2}], "e": {"a": "[redacted]"}}),
        ("$.e.*", {"a": "t", "b": [{"c": 1, "d": "x"}, {"c": 2}], "e": {"a": "[redacted]"}}),
    ],
)
def test_a_path_takes_out_what_it_leads_to(path: str, expected: Any) -> None:
    given = {"a": "t", "b": [{"c": 1, "d": "x"}, {"c": 2}], "e": {"a": 5}}

    assert body_without(path, body=given) == (expected, (path,))
    assert body_without("$.nowhere[7].x", body=given) == (given, None)


@pytest.mark.parametrize("wrong", ["a.b", "$", "$.", "$[x]", "$.a b", 7, re.compile(b"x"), None])
def test_what_is_no_rule_is_refused_when_it_is_given(wrong: Any) -> None:
    with pytest.raises(ValueError, match="is no (rule|JSON path)"):
        Capture(rules=[wrong])


def test_a_pattern_is_looked_for_in_every_string_but_names() -> None:
    attempt = Attempt(stream="s", call="c", attempt=0, secrets=Secrets())
    first = request(
        attempt, b'{"4111": ["4111", 4111, {"x": "card 4111."}]}', url="/v1/4111", tags={"card": "4111"}
    )
    (kept,) = reduced([first], re.compile("4111"), mode="full")

    assert isinstance(kept, Request)
    assert kept.body == {"4111": ["[redacted]", 4111, {"x": "card [redacted]."}]}
    assert (kept.url, kept.tags) == ("/v1/[redacted]", {"card": "[redacted]"})
    assert kept.redacted == ("pattern 1",)


def test_a_pattern_is_looked_for_in_odd_places_too() -> None:
    body = b': 4111\n\nevent: error\nid: 4111\n: 4111\ndata: {"type":"error","error":{"type":"e","message":"4111"}}\n\n[4111'
    kept = reduced(stream(body), re.compile("4111"), mode="full")

    assert "4111" not in text_of(kept)
    assert text_of(kept).count('"pattern 1"') == 4  # the comment, the event, the tail, the end


def test_a_function_gets_the_decoded_value_and_says_what_is_kept() -> None:
    def without_messages(value: Any) -> Any:
        return {name: item for name, item in value.items() if name != "messages"}

    body, names = body_without(without_messages)

    assert "messages" not in body
    assert body["model"] == "claude-test"
    assert names == ("without_messages",)


def test_a_path_to_an_error_takes_it_out_of_the_summary_as_well() -> None:
    body = b'event: error\ndata: {"type":"error","error":{"type":"e","message":"sorry, Bob"}}\n\n'

    assert "Bob" not in text_of(reduced(stream(body), "$.error.message", mode="full"))
    whole = b'{"type":"error","error":{"type":"e","message":"sorry, Bob"}}'
    assert "Bob" not in text_of(reduced(stream(whole, kind="application/json"), "$.error.message", mode="full"))


def test_a_rule_that_raises_costs_the_text_and_nothing_else() -> None:
    failures: list[RuleError] = []

    def keep(value: Any) -> Any:
        raise RuntimeError(str(value))

    capture = Capture(rules=[keep], failed=failures.append)
    records = stream(b'event: x\ndata: {"type":"x","text":"private"}\n\n')
    kept = [capture(record) for record in records]

    assert "private" not in text_of(kept)
    assert "secretive" not in text_of(kept)
    assert [len(kept), timing(kept)] == [len(records), timing(records)]
    assert [r.redacted for r in kept if isinstance(r, Event)] == [("keep failed",)]
    assert {str(failure) for failure in failures} == {"the rule keep raised RuntimeError"}


def test_a_function_that_returns_what_is_no_json_costs_the_text() -> None:
    kept = reduced(stream(b'event: x\ndata: {"type":"x","text":"private"}\n\n'), lambda _: object(), mode="full")

    assert "private" not in text_of(kept)


def test_a_path_leaves_nothing_of_a_body_that_is_written_in_pieces() -> None:
    body = json.dumps({"user": "private-name", "padding": "x" * PIECE, "other": "private-name"}).encode()
    kept = reduced(stream(body, kind="application/json"), "$.user", "$.other", mode="full")

    assert "private-name" not in text_of(kept)
    assert sum(r.size or 0 for r in kept if isinstance(r, Bytes)) == len(body)


def test_rules_and_mode_work_together() -> None:
    kept = reduced(stream(b""), re.compile("chat"))

    assert isinstance(kept[0], Request)
    assert kept[0].tags == {"feature": "[redacted]"}
    assert kept[0].redacted == ("pattern 1", "timing")
    assert "secretive" not in bytes(Raw(wire.payload(kept[0]))).decode()
