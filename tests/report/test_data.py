"""What the page is given: the numbers of every stream, and a bounded choice of streams event by event."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from recorder.core.arrivals import Stream as Arrivals
from recorder.log.streams import Stream, read_streams
from recorder.report.aggregate import curve_rows, run_rows
from recorder.report.data import OPEN, OTHERS, UNIT_S, choose, empty_data, read_data
from recorder.report.detail import EVENTS, TEXT, detail
from tests.cli.recordings import (
    KINDS,
    OUTCOMES,
    WORDS,
    block_start,
    delta,
    every_kind,
    message_start,
    sse,
    stream,
    text,
    write,
)
from tests.report.recordings import recorded, write_all


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_all(tmp_path / "all.jsonl")


def streams_of(path: Path) -> dict[str, Stream]:
    return {stream.id: stream for stream in read_streams([path], report=lambda problem: None)}


def test_each_stream_has_the_numbers_of_its_timing(path: Path) -> None:
    data = recorded(path).data
    streams = streams_of(path)

    assert data.count == len(streams) - 1  # one call did not ask for a stream
    for place, name in enumerate(data.columns["stream"]):
        timing = streams[name].timing()
        for metric in ("headers_s", "ttft_s", "ttft_text_s", "duration_s", "gap_p99_s", "stalled_s", "hold_s"):
            value, expected = data.columns[metric][place], getattr(timing, metric)
            assert (value is None) == (expected is None), (name, metric)
            assert value is None or abs(value * UNIT_S - expected) <= UNIT_S
        assert data.names["outcome"][data.columns["outcome"][place]] == timing.outcome


def test_the_gaps_of_all_streams_are_there_by_type(path: Path) -> None:
    data = recorded(path).data
    expected: Counter[str] = Counter()
    for one in streams_of(path).values():
        arrivals = Arrivals(one.records)
        for pause in arrivals.pauses:
            if pause.is_gap:
                block = arrivals.arrivals[pause.after].record.block  # type: ignore[union-attr]
                expected[arrivals.blocks[block].type or "(unknown)"] += 1
    found: Counter[str] = Counter()
    for code, n in zip(data.gaps["codes"], data.gaps["counts"], strict=True):
        found[data.gaps["types"][code // 1000]] += n
    assert found == expected
    assert len(data.gaps["starts"]) == data.count + 1


def test_a_gap_is_in_its_bin(tmp_path: Path) -> None:
    data = recorded(write(tmp_path / "a.jsonl", text())).data  # every 50 ms

    bins = [code % 1000 - 500 for code in data.gaps["codes"]]
    assert len(bins) == 1
    assert 10 ** (bins[0] / 8) <= 0.05 < 10 ** ((bins[0] + 1) / 8)


def test_a_stream_that_goes_on_is_open_and_not_lost(path: Path) -> None:
    from recorder.analytics.report import Tables

    (lost,) = [
        f"{kind.__defaults__[0]}" for kind, outcome in zip(KINDS, OUTCOMES, strict=True) if outcome == "lost"
    ]  # type: ignore[index]
    data = read_data(Tables([path], report=lambda problem: None), {lost, "7e470000a1b2c3d4"})

    outcomes = [data.names["outcome"][code] for code in data.columns["outcome"]]
    assert outcomes[data.columns["stream"].index(lost)] == OPEN
    assert outcomes.count(OPEN) == 1
    assert data.columns["last"][data.columns["stream"].index(lost)] == 0


def test_only_so_many_models_have_a_colour(tmp_path: Path) -> None:
    made = [text(f"{n:016x}", model=f"model-{n}", sent=n) for n in range(9)]
    data = recorded(write(tmp_path / "a.jsonl", *made)).data

    assert len(data.groups) == 7
    assert data.groups[-1] == OTHERS


def test_a_choice_has_of_each_reason_and_is_the_same_each_time(path: Path) -> None:
    data = recorded(path).data
    choice = choose(data, 40)

    assert len(choice.ids) == len(set(choice.ids)) == 40
    assert sum(choice.reasons.values()) == 40
    assert set(choice.reasons) == {"slowest", "not complete", "by chance"}  # nothing stalled
    assert choice == choose(data, 40)
    assert choose(data, 0).ids == []
    assert len(choose(data, 1000).ids) == data.count
    slowest = max(range(data.count), key=lambda place: data.columns["ttft_s"][place] or 0)
    assert choice.ids[0] == data.columns["stream"][slowest]


def test_no_stream_is_no_data(tmp_path: Path) -> None:
    from tests.cli.recordings import whole_body

    data = recorded(write(tmp_path / "a.jsonl", whole_body())).data

    assert data == empty_data()


@pytest.mark.parametrize("records", every_kind(), ids=[kind.__name__ for kind in KINDS])
def test_every_kind_of_stream_has_its_details(records: list[object], tmp_path: Path) -> None:
    (one,) = streams_of(write(tmp_path / "a.jsonl", records)).values()  # type: ignore[arg-type]
    shown = detail(one)
    timing = one.timing()

    assert sum(shown["frames"]["chars"]) == timing.output_chars
    curve = curve_rows(shown["frames"])
    assert (curve[-1]["chars"] if curve else 0) == timing.output_chars
    if timing.ttft_s is not None:
        assert shown["frames"]["at"][0] == pytest.approx(timing.ttft_s)
    assert all(span["start"] <= span["end"] for span in shown["spans"])
    assert sum(span["kind"] == "tail" for span in shown["spans"]) == (
        one.end is not None and one.response is not None
    )


def test_the_details_have_the_text_of_every_output(tmp_path: Path) -> None:
    (one,) = streams_of(write(tmp_path / "a.jsonl", text())).values()

    assert detail(one)["frames"]["text"] == WORDS


def test_what_is_too_long_is_left_out_and_told(tmp_path: Path) -> None:
    head = sse(message_start(), block_start(0, type="text", text=""))
    many = b"".join(sse(delta(0, "text_delta", text="ab")) for _ in range(EVENTS + 5))
    long = [(300, 9, head), (400, 9, sse(delta(0, "text_delta", text="y" * (TEXT + 1)))), (500, 9, many)]
    (one,) = streams_of(write(tmp_path / "a.jsonl", stream("5", long))).values()
    shown = detail(one)

    assert shown["left_out"] == 6
    assert shown["frames"]["text"][:2] == [None, "ab"]
    assert len(shown["frames"]["at"]) == EVENTS
    curve = curve_rows(shown["frames"])
    assert len(curve) == 2000
    assert curve[-1]["chars"] == TEXT + 1 + 2 * (EVENTS - 1)


def test_gaps_tell_who_waited(tmp_path: Path) -> None:
    slow = [(300, 20, sse(message_start(), block_start(0, type="text", text="")))]
    slow += [(400, 90, sse(delta(0, "text_delta", text="a")))]
    slow += [(600, 199, sse(delta(0, "text_delta", text="b")))]  # the server's
    slow += [(900, 20, sse(delta(0, "text_delta", text="c")))]  # the application held 280 of 300 ms
    slow += [(901, 0, sse(delta(0, "text_delta", text="d")))]  # 1 ms, all of it held
    (one,) = streams_of(write(tmp_path / "a.jsonl", stream("5", slow))).values()

    assert [gap["who"] for gap in detail(one)["strip"]] == ["wait", "hold", "hold"]
    assert [run["kind"] for run in run_rows(detail(one)["frames"])] == ["over 50 ms", "under 25 ms"]
