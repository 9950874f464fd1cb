"""Faults as values: the catalogue, the line each is printed as, and what is no fault."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import recorder
from recorder import faults
from recorder.replayer.faults.spec import CATALOGUE
from recorder.replayer.script import Ending, Script, piece
from tests.replayer.faulty import THINKING, script, under
from tests.replayer.streams import EVENTS, recorded

ONE_OF_EACH = {
    "refuse": "refuse(after=1)",
    "status": 'status(code=529, type=odd_error, message="a \\"b\\", c", retry_after=1.5, headers="x-a: b; x-c: d=e", after=2)',
    "reset": "reset(at=4, after=1)",
    "hang": "hang(at=text_delta:2)",
    "cut_clean": "cut_clean(at=50%)",
    "cut_dirty": "cut_dirty(at=-1, times=2, nth=3, probability=0.25, ramp=4)",
    "slow_close": "slow_close(seconds=2)",
    "speed": "speed(factor=0.5)",
    "idle_limit": "idle_limit(seconds=0.1)",
    "ttft": "ttft(seconds=9)",
    "stall": "stall(at=12.5%, seconds=30, distribution=lognormal)",
    "jitter": "jitter(seconds=0.5)",
    "rate": "rate(tokens_per_second=10)",
    "rechunk": "rechunk(size=1, up_to=9)",
    "cut_inside": "cut_inside(what=data)",
    "merge": "merge()",
    "drop": "drop(at=2, count=2)",
    "duplicate": "duplicate(at=2)",
    "reorder": "reorder(at=2)",
    "corrupt": "corrupt(at=100b)",
    "unknown_event": "unknown_event(at=2)",
    "heartbeat": "heartbeat(at=2)",
    "ping": "ping(at=2)",
    "crlf": "crlf()",
    "unnamed": "unnamed(at=2)",
    "error_event": "error_event(at=3, type=api_error)",
    "no_message_delta": "no_message_delta()",
    "no_message_stop": "no_message_stop()",
    "cut_tool_input": "cut_tool_input(end=clean)",
    "cut_thinking": "cut_thinking()",
    "usage": "usage(input_tokens=5)",
    "stop_reason": "stop_reason(reason=max_tokens)",
    "index_gap": "index_gap(by=2)",
    "quota": "quota(requests=2)",
    "token_quota": "token_quota(tokens=100, per=1)",
}  # fmt: skip
QUOTAS = {"quota", "token_quota"}


def test_each_fault_of_the_catalogue_is_tested_exported_and_described() -> None:
    assert ONE_OF_EACH.keys() == CATALOGUE.keys()
    assert CATALOGUE.keys() <= set(faults.__all__)
    assert [name for name in CATALOGUE if not getattr(faults, name).__doc__] == []


@pytest.mark.parametrize("text", ONE_OF_EACH.values())
def test_a_fault_is_printed_as_it_is_read(text: str) -> None:
    assert str(faults.parse(text)) == f"{text} seed=0"
    assert faults.parse(f"{text} seed=-7").seed == -7


def test_help_shows_the_parameters_that_a_fault_is_made_with() -> None:
    assert list(inspect.signature(faults.stall).parameters) == ["at", "seconds", "distribution"]


def test_faults_add_up() -> None:
    made = (faults.stall(at=12, seconds=30) + faults.cut_dirty(at=40).only(times=1)).seeded(7)

    assert str(made) == "stall(at=12, seconds=30)+cut_dirty(at=40, times=1) seed=7"
    assert faults.parse(str(made)) == made
    assert faults.parse(" stall( at=12,seconds = 30 ) + cut_dirty(at=40,times=1)  seed=7 ") == made


PLACES = st.one_of(st.integers(-99, 99), st.floats(0, 1), st.sampled_from(["50%", "7b", "ping", "text_delta:3"]))


@given(at=PLACES, seconds=st.floats(0, 86_400), message=st.text(), seed=st.integers())
def test_any_fault_reads_back(at: float | str, seconds: float, message: str, seed: int) -> None:
    made = (faults.stall(at=at, seconds=seconds) + faults.status(code=500, message=message)).seeded(seed)

    assert faults.parse(str(made)) == made
    assert "\n" not in str(made)


@given(st.text(alphabet="abcdefs_()=,+\"\\ 0123456789%'\n-.", max_size=40))
def test_any_text_is_a_fault_or_one_line_that_says_why_not(text: str) -> None:
    said = ""
    try:
        said = str(faults.parse(text))
    except faults.FaultError as error:
        said = str(error)
    assert said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("cut_dirt(at=3)", "fault 'cut_dirt' does not exist; did you mean cut_dirty?"),
        ("zzz", "fault 'zzz' does not exist; there are corrupt, crlf, "),
        ("stall(at=3)", "fault stall: Object missing required field `seconds`; it takes at, seconds, distribution, times"),
        ("stall(at=3, seconds=-1)", "fault stall: Expected `float` >= 0.0 - at `$.seconds`; it takes"),
        ("stall(at=3, seconds=1, second=2)", "fault stall: Object contains unknown field `second`"),
        ("cut_dirty(at=150%)", "fault cut_dirty: at='150%' is no place; write 12 (event 12)"),
        ("cut_dirty(at=1.5)", "fault cut_dirty: at=1.5 is no place"),
        ("cut_dirty(at=3, times=0)", "fault cut_dirty: Expected `int` >= 1 - at `$.times`"),
        ("cut_dirty(at=3, at=4)", "at is given twice"),
        ("cut_dirty(at=3", "expected name=value at 'at=3'"),
        ("cut_dirty(at=3)crlf()", "'crlf()' was not understood; join faults by +"),
        ("cut_dirty(at=3) seed=x", "'seed=x' was not understood"),
        ("", "expected the name of a fault at ''"),
        ("status(code=418)", "fault status: Invalid enum value 418"),
        ('status(code=500, headers="bad")', "fault status: 'bad' is no header"),
    ],
)  # fmt: skip
def test_what_is_no_fault_is_told_in_one_line(text: str, says: str) -> None:
    with pytest.raises(faults.FaultError) as caught:
        faults.parse(text)

    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_wrong_parameter_is_told_where_the_fault_is_made(tmp_path: Path) -> None:
    with pytest.raises(faults.FaultError, match="stall"):
        faults.stall(at=3, seconds=-1)
    with pytest.raises(faults.FaultError, match="probability"):
        faults.cut_dirty(at=3).only(probability=2)
    with pytest.raises(faults.FaultError, match="does not exist"):
        recorder.replay(recorded(tmp_path), faults="boom()")


@pytest.mark.parametrize("text", [text for name, text in ONE_OF_EACH.items() if name not in QUOTAS])
def test_a_fault_is_a_pure_function_that_does_something(text: str) -> None:
    whole = [*THINKING[:-3], *EVENTS[1:-2], *THINKING[-3:]]
    before = script(whole)

    once, again = under(text, before, seed=1), under(text, before, seed=1)

    assert once == again
    assert before == script(whole)
    assert once != before
    assert sorted(chunk.at for chunk in once.pieces) == [chunk.at for chunk in once.pieces]
    assert all(chunk.data for chunk in once.pieces)


@pytest.mark.parametrize("text", [text for name, text in ONE_OF_EACH.items() if name not in QUOTAS])
def test_a_fault_leaves_alone_what_it_does_not_fit(text: str) -> None:
    plain = Script(headers_at=0, headers={"content-type": "text/plain"}, pieces=(piece(1, b"hello"),), end_at=1)
    failed = Script(headers_at=None, ending=Ending("reset"))

    for one in (plain, failed):
        done = under(text, one)
        assert isinstance(done, Script)
    if any(
        kind in text
        for kind in ("at=2", "at=3", "thinking", "tool_input", "message_", "index", "crlf", "text_delta")
    ):
        assert under(text, plain) is plain


def test_the_standard_faults_have_names_and_read_back() -> None:
    for name, fault in faults.standard().items():
        assert name.isidentifier()
        assert faults.parse(str(fault)) == fault


def test_the_public_name_needs_no_import_of_its_own() -> None:
    assert recorder.faults.standard is faults.standard
