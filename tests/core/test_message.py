from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Iterator
from typing import Any

import httpx2
import pytest
from anthropic import Anthropic
from anthropic._streaming import SSEDecoder
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.core.message import MessageFold, fold
from tests.corpus import marker, streams

Payload = dict[str, Any]

DERIVED = {"text", "thinking", "signature", "input_json", "citation", "compaction"}
"""Events that the SDK makes up beside the ones of the wire."""
BETA_BLOCKS = {"compaction", "fallback"}
"""Categories of streams with blocks of which only the beta client takes note."""
BETA_FIELDS = {"context_management"}
BETA_USAGE = {"iterations", "fallback_credit"}


def snapshots(body: bytes, *, beta: bool = True) -> Iterator[tuple[str, Payload | None]]:
    """Each event that the SDK takes from `body` and its message after it, until the end or until it raises."""
    answer = httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=body)
    transport = httpx2.MockTransport(lambda request: answer)
    with Anthropic(api_key="key", max_retries=0, http_client=httpx2.Client(transport=transport)) as client:
        messages: Any = client.beta.messages if beta else client.messages
        with messages.stream(model="any", max_tokens=1, messages=[]) as stream:
            events = iter(stream)
            while True:
                try:
                    event = next(events)
                except Exception:  # what the SDK raises, or the end
                    return
                if event.type not in DERIVED:
                    yield event.type, snapshot(stream)


def snapshot(stream: Any) -> Payload | None:
    try:
        message = stream.current_message_snapshot
    except AssertionError:
        return None
    return message.to_dict(mode="json", warnings=False)


def payloads(body: bytes) -> list[Payload]:
    """The payloads of the events that the SDK takes, by its own decoder."""
    events = SSEDecoder().iter_bytes(iter([body]))
    return [json.loads(event.data) for event in events if event.event not in (None, "ping") and event.data]


def as_body(events: Iterable[Payload]) -> bytes:
    return "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events).encode()


def assert_agrees_with_sdk(events: list[Payload], body: bytes, name: str = "") -> int:
    """Compares after every event, until the SDK raises. Returns how many events that were."""
    message, fed = MessageFold(), 0
    for kind, expected in snapshots(body):
        skipped = [event["type"] for event in events[fed:]].index(kind)  # old SDKs drop events of unknown type
        for event in events[fed : fed + skipped + 1]:
            message.feed(event)
        fed += skipped + 1
        assert expected == message.message, f"{name}: event {fed} of {len(events)}"
    return fed


@marker
def test_after_every_event_of_a_real_stream_the_fold_is_the_snapshot_of_the_sdk() -> None:
    whole = 0
    for stream in streams():
        events = payloads(stream.body)
        compared = assert_agrees_with_sdk(events, stream.body, stream.file)
        whole += compared == len(events) and fold(events) is not None
    assert whole >= 520  # all but the four of the old text completions API, which have no message


@marker
def test_the_client_that_is_not_beta_agrees_but_for_what_it_does_not_know() -> None:
    def known(message: Payload | None) -> Payload:
        fields = {name: value for name, value in (message or {}).items() if name not in BETA_FIELDS}
        usage = {name: value for name, value in fields.get("usage", {}).items() if name not in BETA_USAGE}
        return fields | {"usage": usage}

    compared = [s for s in streams() if not BETA_BLOCKS.intersection(s.index["categories"])]
    for stream in compared:
        *_, (_, final) = [("", None), *snapshots(stream.body, beta=False)]
        assert known(final) == known(fold(payloads(stream.body))), stream.file
    assert len(compared) >= 520


@marker
def test_a_real_stream_folded_twice_is_the_same_and_says_whether_it_stopped() -> None:
    def folded(events: list[Payload]) -> MessageFold:
        message = MessageFold()
        for payload in events:
            message.feed(payload)
        return message

    cut = 0
    for stream in streams():
        events = payloads(stream.body)
        first, second = folded(events), folded(events)
        assert first.message == second.message, stream.file
        assert (first.message or {}).get("usage") == first.usage, stream.file
        assert {"type": "message_stop"} in events or not first.stopped, stream.file
        assert first.error is None, stream.file
        cut += not first.stopped
    assert 0 < cut < 20


def start(*blocks: Payload, **fields: object) -> Payload:
    usage = {"input_tokens": 9, "output_tokens": 1, "cache_read_input_tokens": None, "service_tier": "standard"}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": list(blocks)}
    return {"type": "message_start", "message": message | {"stop_reason": None, "usage": usage} | fields}


def block(index: int, kind: str, **fields: object) -> Payload:
    return {"type": "content_block_start", "index": index, "content_block": {"type": kind, **fields}}


def delta(index: int, kind: str, **fields: object) -> Payload:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **fields}}


def finish(usage: Payload, /, stop_reason: str = "end_turn", **fields: object) -> Payload:
    return {"type": "message_delta", "delta": {"stop_reason": stop_reason, **fields}, "usage": usage}


TEXT = block(0, "text", text="")
TOOL = block(0, "tool_use", id="toolu_1", name="weather", input={})
HELLO = delta(0, "text_delta", text="Hello")
CITATION = {"type": "char_location", "cited_text": "x", "document_index": 0, "document_title": None}
EXPIRES = "2026-01-01T00:00:00Z"

# Events, and after how many the SDK raises.
SEQUENCES: dict[str, tuple[list[Payload], int]] = {
    "text": ([start(), TEXT, HELLO, HELLO, finish({"output_tokens": 5}), {"type": "message_stop"}], 6),
    "second message": ([start(), TEXT, HELLO, start(model="other"), HELLO], 5),
    "content in the message": ([start({"type": "text", "text": "Well: "}), HELLO], 2),
    "duplicate index": ([start(), TEXT, TEXT, HELLO, delta(1, "text_delta", text="second")], 5),
    "starts out of order": ([start(), block(1, "text", text="a"), TEXT, HELLO], 4),
    "index gap": ([start(), TEXT, block(2, "text", text=""), delta(2, "text_delta", text="lost"), HELLO], 3),
    "delta before its start": ([start(), HELLO, TEXT], 1),
    "text for a tool": ([start(), TOOL, HELLO], 3),
    "thinking for a text": ([start(), TEXT, delta(0, "thinking_delta", thinking="hm"), HELLO], 4),
    "JSON for a text": ([start(), TEXT, delta(0, "input_json_delta", partial_json="{}"), HELLO], 4),
    "unknown event": ([start(), TEXT, {"type": "content_block_future", "index": 0}, HELLO], 4),
    "unknown block": ([start(), block(0, "future", x=[1]), {"type": "content_block_stop", "index": 0}], 3),
    "thinking": (
        [
            start(),
            block(0, "thinking", thinking="", signature=""),
            delta(0, "thinking_delta", thinking="so"),
            delta(0, "signature_delta", signature="one"),
            delta(0, "signature_delta", signature="two"),
        ],
        5,
    ),
    "citations": (
        [
            start(),
            block(0, "text", text="", citations=None),
            delta(0, "citations_delta", citation=CITATION),
            block(1, "text", text="", citations=[CITATION]),
            delta(1, "citations_delta", citation=CITATION),
            delta(1, "citations_delta", citation=CITATION),
        ],
        6,
    ),
    "whole input, then no delta": (
        [start(), TOOL, block(1, "mcp_tool_use", input={"a": 1}), delta(1, "input_json_delta", partial_json="")],
        4,
    ),
    "input that is no JSON": (
        [
            start(),
            TOOL,
            delta(0, "input_json_delta", partial_json='{"a": 1, '),
            delta(0, "input_json_delta", partial_json="oops"),
            delta(0, "input_json_delta", partial_json=": 2}"),
        ],
        3,
    ),
    "compaction": (
        [
            start(),
            block(0, "compaction", content=None),
            delta(0, "compaction_delta", content="first"),
            delta(0, "compaction_delta", content="second", encrypted_content="e"),
        ],
        4,
    ),
    "container": ([start(), finish({"output_tokens": 5}, container={"id": "c", "expires_at": EXPIRES})], 2),
    "usage null, absent, twice": (
        [
            start(),
            finish({"output_tokens": 5, "input_tokens": None, "cache_read_input_tokens": 3}),
            finish({"output_tokens": 7, "cache_read_input_tokens": None}, stop_sequence="\n"),
        ],
        3,
    ),
    "context management": (
        [start(), finish({"output_tokens": 5}) | {"context_management": {"applied_edits": []}}],
        2,
    ),
    "error": (
        [start(), TEXT, HELLO, {"type": "error", "error": {"type": "overloaded_error", "message": "x"}}, HELLO],
        3,
    ),
}


@pytest.mark.parametrize(("events", "comparable"), SEQUENCES.values(), ids=SEQUENCES)
def test_odd_sequences_fold_as_in_the_sdk_until_it_raises(events: list[Payload], comparable: int) -> None:
    assert comparable == assert_agrees_with_sdk(events, as_body(events))


def test_what_comes_before_the_message_is_skipped() -> None:
    events = [HELLO, TEXT, finish({"output_tokens": 3}), start(), TEXT, HELLO]
    assert fold(events[3:]) == fold(events)
    assert_agrees_with_sdk(events, as_body(events))  # where the SDK does not raise


def test_a_fallback_block_names_the_model_that_answered() -> None:
    message = fold(
        [start(), block(0, "fallback", **{"from": {"model": "m"}, "to": {"model": "n"}}), block(1, "text")]
    )
    assert message is not None
    assert message["model"] == "n"


def test_usage_keeps_what_the_last_event_leaves_out() -> None:
    message = MessageFold()
    message.feed(start())
    message.feed({"type": "message_delta", "delta": {}, "usage": {"output_tokens": None, "new_tokens": 4}})
    expected = {
        "input_tokens": 9,
        "output_tokens": 1,
        "cache_read_input_tokens": None,
        "service_tier": "standard",
        "new_tokens": 4,
    }
    assert expected == message.usage


def test_an_unknown_delta_is_merged_into_its_block() -> None:
    first = delta(0, "sound_delta", transcript="la", samples=[1], rate=8000)
    second = delta(0, "sound_delta", transcript=" la", samples=[2], rate=None)
    message = fold([start(), block(0, "sound", rate=None), first, second])
    assert message is not None
    assert message["content"] == [{"type": "sound", "transcript": "la la", "samples": [2], "rate": None}]


def test_an_unknown_block_takes_known_deltas() -> None:
    events = [start(), block(0, "future_tool_use", input={}), delta(0, "input_json_delta", partial_json='{"a":1}')]
    message = fold([*events, delta(0, "text_delta", text="t")])
    assert message is not None
    assert message["content"] == [{"type": "future_tool_use", "input": {"a": 1}, "text": "t"}]


def test_unknown_fields_of_message_delta_are_kept_and_may_not_rename_the_message() -> None:
    end = finish({"output_tokens": 2}, verdict="fine", id="other", content=[]) | {
        "extra": 1,
        "p": "abc",
        "role": "x",
    }
    message = fold([start(), TEXT, end])
    assert message is not None
    assert {"verdict": "fine", "extra": 1, "id": "msg_1", "role": "assistant"}.items() <= message.items()
    assert "p" not in message
    assert message["content"] == [{"type": "text", "text": ""}]


def test_input_that_is_no_json_gives_its_longest_valid_beginning_and_the_fold_goes_on() -> None:
    events = [TOOL, delta(0, "input_json_delta", partial_json='{"a": 1, oops}'), block(1, "text", text="after")]
    message = fold([start(), *events])
    assert message is not None
    assert [TOOL["content_block"] | {"input": {"a": 1}}, {"type": "text", "text": "after"}] == message["content"]


def test_after_an_error_nothing_is_folded() -> None:
    message, error = MessageFold(), {"type": "error", "error": {"type": "api_error", "message": "x"}}
    for event in (start(), TEXT, error, HELLO, {"type": "message_stop"}):
        message.feed(event)
    assert error == message.error
    assert not message.stopped
    assert message.message is not None
    assert message.message["content"] == [{"type": "text", "text": ""}]


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"type": ["message_start"]},
        {"type": "content_block_start", "index": 1},
        {"type": "content_block_start", "index": 1, "content_block": "text"},
        {"type": "content_block_delta", "index": "0", "delta": {"type": "text_delta", "text": "x"}},
        {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "x"}},
        delta(-1, "text_delta", text="x"),
        delta(10**30, "text_delta", text="x"),
        delta(0, "text_delta", text=None),
        delta(0, "text_delta"),
        delta(0, "citations_delta"),
        {"type": "content_block_delta", "index": 0, "delta": [1]},
        {"type": "message_delta", "delta": "x", "usage": 3},
        [],
        "[DONE]",
        None,
    ],
    ids=repr,
)
def test_what_cannot_be_folded_is_skipped(odd: object) -> None:
    assert fold([start(), TEXT, HELLO, HELLO]) == fold([start(), TEXT, HELLO, odd, HELLO])


def test_a_message_given_out_does_not_change_with_later_events() -> None:
    message = MessageFold()
    for event in (start(), TEXT, delta(0, "citations_delta", citation=CITATION)):
        message.feed(event)
    given_out = message.message
    before = copy.deepcopy(given_out)
    for event in (HELLO, delta(0, "citations_delta", citation=CITATION), TEXT, finish({"output_tokens": 8})):
        message.feed(event)
    assert before == given_out


INDEX = st.integers(0, 3)
TEXTS = st.text(max_size=6)
JSON_PIECES = st.sampled_from(
    ['{"a": 1', ', "b": [', "[1", '"x', '"', "2.", "5", "}", "]", "", "tru", "e", ":", ","]
)
BLOCKS = st.sampled_from(
    [
        *(TEXT, TOOL, block(0, "text", text="so", citations=[])),
        block(0, "thinking", thinking="", signature=""),
        block(0, "server_tool_use", id="s", name="web_search", input={"q": "x"}),
        block(0, "compaction", content=None),
    ]
)
DELTAS = st.one_of(
    st.builds(lambda i, v: delta(i, "text_delta", text=v), INDEX, TEXTS),
    st.builds(lambda i, v: delta(i, "thinking_delta", thinking=v), INDEX, TEXTS),
    st.builds(lambda i, v: delta(i, "signature_delta", signature=v), INDEX, TEXTS),
    st.builds(lambda i, v: delta(i, "compaction_delta", content=v), INDEX, TEXTS),
    st.builds(lambda i, v: delta(i, "input_json_delta", partial_json=v), INDEX, JSON_PIECES),
    st.builds(lambda i: delta(i, "citations_delta", citation=CITATION), INDEX),
)
COUNTS = st.fixed_dictionaries(
    {"output_tokens": st.integers(0, 99)},
    optional={
        "input_tokens": st.none() | st.integers(0, 9),
        "server_tool_use": st.just({"web_search_requests": 1}),
    },
)
OTHERS = st.sampled_from([start(), {"type": "message_stop"}, {"type": "new_event"}]) | st.builds(finish, COUNTS)


@settings(max_examples=150)
@given(st.lists(BLOCKS, max_size=4), st.lists(DELTAS | DELTAS | BLOCKS | OTHERS, max_size=16))
def test_any_order_of_known_events_folds_as_in_the_sdk(blocks: list[Payload], rest: list[Payload]) -> None:
    events = [start(), *blocks, *rest]
    assert_agrees_with_sdk(events, as_body(events))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
NAMES = ["type", "index", "delta", "message", "content_block", "usage", "content", "text", "partial_json", "to"]
TYPES = ["message_start", "content_block_start", "content_block_delta", "message_delta", "text_delta", "text"]
ODD_VALUES = st.recursive(
    JSON
    | st.sampled_from([*TYPES, "future", "citations_delta", "compaction_delta", "fallback", "input_json_delta"]),
    lambda inner: st.dictionaries(st.sampled_from([*NAMES, "citations", "input", "citation"]), inner, max_size=4),
    max_leaves=8,
)
ODD_EVENTS = st.fixed_dictionaries(
    {"type": st.sampled_from(TYPES) | ODD_VALUES},
    optional=dict.fromkeys(NAMES[1:], ODD_VALUES | INDEX),
)


@given(st.lists(ODD_EVENTS | DELTAS | BLOCKS | JSON | st.builds(start), max_size=12))
def test_no_sequence_of_payloads_raises_or_is_changed(events: list[object]) -> None:
    before = copy.deepcopy(events)
    first = fold(events)
    assert before == events
    assert repr(first) == repr(fold(events))
    json.dumps(first)
