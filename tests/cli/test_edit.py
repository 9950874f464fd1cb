"""`recorder edit`: a new file, sealed and marked, that replays and loads; the old one is never touched."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import httpx2
import pytest

import recorder as library
from recorder.core.lines import encode_line
from recorder.core.records import Header
from recorder.log.files import header_of
from recorder.log.streams import Stream
from recorder.log.verify import verify
from tests.cli import recordings
from tests.cli.command import contents, recorder

FIXTURES = Path(__file__).parents[2] / "fixtures"
TEXT = FIXTURES / "text.jsonl"

pytestmark = pytest.mark.filterwarnings("ignore:The model:DeprecationWarning")


def streams(path: Path) -> list[Stream]:
    return sorted(library.open(path).streams(), key=lambda one: one.request.mono)


def edit(source: Path, target: Path, *arguments: str) -> list[Stream]:
    """The streams of the copy, which is sound and sealed, and its source untouched."""
    before = contents(source) if source.is_dir() else source.read_bytes()
    result = recorder("edit", source, target, *arguments)
    assert result.exit_code == 0, result.stderr
    assert (contents(source) if source.is_dir() else source.read_bytes()) == before
    [check] = verify([target])
    assert (check.problems, check.warnings, check.sealed) == ([], [], True)
    assert target.stat().st_mode & 0o777 == 0o600
    return streams(target)


def asked(stream: Stream) -> dict[str, Any]:
    return {name: value for name, value in stream.request.body.items() if name != "stream"}


@pytest.mark.parametrize(
    ("end", "raises"),
    [("failed", httpx2.RemoteProtocolError), ("timeout", httpx2.ReadTimeout), ("truncated", None),
     ("closed", library.EndOfRecording), ("lost", library.EndOfRecording)],
)  # fmt: skip
def test_the_sdk_gets_the_words_up_to_the_cut_and_then_the_end(
    tmp_path: Path, end: str, raises: type[Exception] | None
) -> None:
    [cut] = edit(TEXT, tmp_path / "cut.jsonl", "--cut", "text_delta:5", "--end", end)
    [whole] = streams(TEXT)
    text = ""
    raising = pytest.raises(raises) if raises else nullcontext()
    with library.replay(tmp_path / "cut.jsonl").client() as client, raising:
        with client.messages.stream(**asked(cut)) as stream:
            for word in stream.text_stream:
                text += word

    said = (whole.message() or {})["content"][0]["text"]
    assert text
    assert said.startswith(text)
    assert len(cut.events) == 8 < len(whole.events)


def test_everything_at_once_loads_into_duckdb_and_says_what_was_done(tmp_path: Path) -> None:
    target = tmp_path / "edited.jsonl"
    edit(FIXTURES, target, "--drop", "439c", "--cut", "-3", "--trim", "3..5", "--scale", "0.5", "--tag", "case=x")

    [line] = recorder(
        "sql", "SELECT count(*), min(duration_s), any_value(tags) FROM streams", target
    ).stdout.splitlines()[1:]
    assert line.split()[0] == "9"
    headers = [json.loads(one) for one in target.read_text().splitlines() if one.startswith('{"kind":"header"')]
    assert {tuple(one["edited"]) for one in headers} == {("drop", "trim", "cut", "retime", "tags")}
    assert {one["source"] for one in headers} == {"synthetic"}
    assert len({one["segment"] for one in headers} | {header_of(path).segment for path in FIXTURES.glob("*.jsonl")}) == 8 + 9  # fmt: skip
    marks = {one.id: one.request.edited for one in streams(target)}
    assert marks["9536c9edcf9c776b"] == ("trim", "cut", "retime", "tags")
    assert marks["7d30a05608a060a8"] == ("retime", "tags"), "a refused attempt has no events to leave out"
    assert "edited: trim, cut, retime, tags" in recorder("show", target, "9536").stdout


def test_a_second_edit_is_told_beside_the_first(tmp_path: Path) -> None:
    edit(TEXT, tmp_path / "a.jsonl", "--cut", "9")
    [twice] = edit(tmp_path / "a.jsonl", tmp_path / "b.jsonl", "--scale", "2")

    assert twice.header.edited == twice.request.edited == ("cut", "retime")


def test_only_the_named_stream_is_changed(tmp_path: Path) -> None:
    before = {one.id: one for one in streams(FIXTURES)}
    for one in edit(FIXTURES, tmp_path / "a.jsonl", "--stream", "9536", "--cut", "9", "--tag", "a=b"):
        if one.id.startswith("9536"):
            assert (len(one.events), one.request.tags) == (9, {"a": "b"})
        else:
            assert one.records == before[one.id].records


def test_what_is_not_changed_is_copied_byte_for_byte(tmp_path: Path) -> None:
    edit(FIXTURES, tmp_path / "a.jsonl", "--keep", "9536", "--keep", "1ab4")

    def lines(path: Path) -> list[str]:
        return [one for one in path.read_text().splitlines() if not one.startswith(('{"kind":"header"', '{"kind":"footer"'))]  # fmt: skip

    assert sorted(lines(tmp_path / "a.jsonl")) == sorted([*lines(TEXT), *lines(FIXTURES / "truncated.jsonl")])


def test_a_retry_is_sent_as_long_after_the_refusal_as_it_was(tmp_path: Path) -> None:
    def distances(path: Path) -> tuple[int, int, int]:
        refused, answered = streams(path)
        assert refused.end is not None
        assert answered.end is not None
        wall = answered.request.wall - refused.request.wall
        mono = answered.request.mono - refused.request.mono
        assert abs(wall - mono) < 1000
        return refused.end.at, mono - refused.end.at, answered.end.at

    source = FIXTURES / "retry.jsonl"
    first, between, second = distances(source)
    edit(source, tmp_path / "shift.jsonl", "--shift", "1.5")
    edit(source, tmp_path / "scale.jsonl", "--scale", "3")
    edit(source, tmp_path / "one.jsonl", "--stream", "7d30", "--scale", "3")

    ns = 1_500_000_000
    assert distances(tmp_path / "shift.jsonl") == (first + ns, between, second + ns)
    assert distances(tmp_path / "scale.jsonl") == pytest.approx((3 * first, 3 * between, 3 * second), abs=10)
    assert distances(tmp_path / "one.jsonl") == pytest.approx((3 * first, between, second), abs=10)


def test_streams_and_calls_get_other_names_everywhere(tmp_path: Path) -> None:
    source = FIXTURES / "retry.jsonl"
    call = streams(source)[0].call
    refused, answered = edit(
        source, tmp_path / "a.jsonl", "--rename", "7d30=first", "--rename", f"{call[:6]}=the-call"
    )

    assert (refused.id, answered.id[:4], refused.call, answered.call) == ("first", "2c58", "the-call", "the-call")
    assert {one.stream for one in refused.records} == {"first"}
    twice = recorder("edit", source, tmp_path / "b.jsonl", "--rename", "7d30=x", "--rename", "2c58=x")
    assert (twice.exit_code, twice.stderr) == (2, f"error: {source}: rename: one new id would be there twice\n")
    taken = recorder("edit", source, tmp_path / "b.jsonl", "--rename", f"7d30={answered.id}")
    assert f"rename: {answered.id} would be there twice" in taken.stderr


def test_tags_are_set_and_taken_away(tmp_path: Path) -> None:
    path = recordings.write(tmp_path / "a.jsonl", recordings.text(tags={"feature": "chat", "user": "u1"}))

    [one] = edit(path, tmp_path / "b.jsonl", "--tag", "case=a=b", "--untag", "user")

    assert one.request.tags == {"feature": "chat", "case": "a=b"}


def test_fields_and_kinds_of_the_future_survive(tmp_path: Path) -> None:
    """In the request, the response, an event, the summary of the end, the header; and lines of an unknown kind."""
    records = recordings.text("s1")
    lines = [encode_line(one).decode() for one in [recordings.header(), *records]]
    lines = [one.replace("}\n", ',"future":{"a":[1, 2]}}\n') for one in lines]
    lines[-1] = lines[-1].replace('"summary":{', '"summary":{"mood":"blue",')
    at = json.loads(lines[6])["at"]
    lines.insert(7, f'{{"kind":"mood","stream":"s1","at":{at},"colour":"blue","seq":"x"}}\n')
    lines.insert(1, '{"kind":"weather","sun":true}\n')
    path = tmp_path / "a.jsonl"
    path.write_text("".join(lines))

    edit(path, tmp_path / "b.jsonl", "--scale", "2", "--rename", "s1=s2", "--tag", "a=b")

    *written, footer = (tmp_path / "b.jsonl").read_text().splitlines()
    values = [json.loads(line) for line in written]
    assert [one["kind"] for one in values] == [json.loads(line)["kind"] for line in lines]
    assert all(one["future"] == {"a": [1, 2]} for one in values if one["kind"] not in ("weather", "mood"))
    assert all('"future":{"a":[1, 2]}' in line for line in written if '"future"' in line)
    [mood] = [one for one in values if one["kind"] == "mood"]
    assert mood == {"kind": "mood", "stream": "s2", "at": 2 * at, "colour": "blue", "seq": "x"}
    assert values[-1]["summary"]["mood"] == "blue"
    assert json.loads(footer)["kind"] == "footer"


def test_a_record_of_an_unknown_kind_moves_with_what_stands_before_it(tmp_path: Path) -> None:
    lines = [encode_line(one).decode() for one in [recordings.header(), *recordings.lost("s1")]]
    response = json.loads(lines[2])
    path = tmp_path / "a.jsonl"
    path.write_text(
        "".join([*lines[:3], f'{{"kind":"mood","stream":"s1","at":{response["at"] + 5}}}\n', *lines[3:]])
    )

    edit(path, tmp_path / "b.jsonl", "--shift", "1")
    edit(path, tmp_path / "c.jsonl", "--cut", "0", "--end", "lost")
    edit(path, tmp_path / "d.jsonl", "--cut", "0s", "--end", "lost")

    assert f'"at":{response["at"] + 1_000_000_005}' in (tmp_path / "b.jsonl").read_text()
    assert "mood" not in (tmp_path / "c.jsonl").read_text()
    assert "mood" not in (tmp_path / "d.jsonl").read_text()


def test_streams_over_several_segments_come_out_whole(tmp_path: Path) -> None:
    """One begins in a first file and ends in a second; another process wrote a third."""
    first, second, other = recordings.text("01"), recordings.text("02", sent=100), recordings.text("03", sent=200)
    header = recordings.header()
    going_on = Header(**{**{n: getattr(header, n) for n in header.__struct_fields__}, "segment": "b", "previous": header.segment})  # fmt: skip
    source = tmp_path / "in"
    source.mkdir()
    (source / "a.jsonl").write_bytes(recordings.lines([*first[:5], *second[:4]]))
    (source / "b.jsonl").write_bytes(encode_line(going_on) + b"".join(map(encode_line, [*second[4:], *first[5:]])))
    (source / "c.jsonl").write_bytes(recordings.lines(other))

    done = edit(source, tmp_path / "b.jsonl", "--scale", "2")

    assert [one.id for one in done] == ["01", "02", "03"]
    assert [one.request.mono for one in done] == [0, 200_000_000, 400_000_000]
    assert [one.timing().outcome for one in done] == ["complete"] * 3


@pytest.mark.parametrize("kind", recordings.KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize(
    "arguments",
    [["--cut", "0.42s"], ["--cut", "1s", "--end", "lost"], ["--trim", "1..3", "--gap", "0.01"], ["--idle-limit", "0.1"], ["--tag", "a=b"]],
    ids=" ".join,
)  # fmt: skip
def test_every_kind_of_stream_can_be_edited(tmp_path: Path, kind: Any, arguments: list[str]) -> None:
    source = recordings.write(tmp_path / "a.jsonl", kind())
    result = recorder("edit", source, tmp_path / "b.jsonl", *arguments)
    if result.exit_code == 2:
        assert "no stream has such a place" in result.stderr
        assert list(tmp_path.iterdir()) == [source]
        return
    assert result.exit_code == 0, result.stderr
    [check] = verify([tmp_path / "b.jsonl"])
    assert check.problems == []
    assert len(streams(tmp_path / "b.jsonl")) == 1


def test_a_copy_without_text_can_be_edited(tmp_path: Path) -> None:
    recorder("redact", TEXT, tmp_path / "timing.jsonl", "--capture", "timing")

    [cut] = edit(tmp_path / "timing.jsonl", tmp_path / "cut.jsonl", "--cut", "-3", "--end", "truncated")
    [same] = edit(tmp_path / "timing.jsonl", tmp_path / "same.jsonl", "--trim", "5..9")

    assert cut.end is not None
    assert (cut.timing().outcome, cut.timing().usage_partial, cut.timing().stalls) == ("truncated", True, 0)
    assert cut.end.summary is not None
    assert cut.end.summary.stop_reason is None
    assert (same.timing().outcome, same.timing().output_tokens) == (
        "complete",
        streams(TEXT)[0].timing().output_tokens,
    )


def test_what_cannot_be_meant_is_one_line_and_writes_nothing(tmp_path: Path) -> None:
    source = recordings.write(tmp_path / "a.jsonl", recordings.text("01"), recordings.text("02"))
    target = tmp_path / "b.jsonl"
    for code, arguments, says in (
        (2, [], "nothing to do; name a change"),
        (2, ["--end", "lost"], "nothing to do"),
        (2, ["--cut", "1.5"], "'1.5' is no place; 12 (event 12)"),
        (2, ["--trim", "3"], "'3' is no span; 3..7 and 1.5s..4s are"),
        (2, ["--tag", "a"], "'a' is not NAME=VALUE"),
        (2, ["--cut", "99"], "no stream has such a place; nothing was written"),
        (2, ["--drop", "01", "--drop", "02"], "no stream would be left; nothing was written"),
        (2, ["--shift", "-9"], "stream 01: shift: the response would come 8.700 s before the request was sent"),
        (2, ["--scale", "0"], "Invalid value for '--scale'"),
        (3, ["--drop", "0"], "2 ids start with '0'; recorder ls shows the ids"),
        (3, ["--keep", "x"], "no id starts with 'x'"),
    ):
        result = recorder("edit", source, target, *arguments)
        assert (result.exit_code, result.stdout, len(result.stderr.splitlines())) == (code, "", 1), result.stderr
        assert says in result.stderr
        assert list(tmp_path.iterdir()) == [source]


def test_nothing_is_written_over_nor_left_half_done(tmp_path: Path) -> None:
    path = recordings.write(tmp_path / "a.jsonl", recordings.text())
    before = path.read_bytes()

    assert recorder("edit", path, path, "--cut", "3").exit_code == 3
    assert recorder("edit", path, tmp_path / "b.json", "--cut", "3").exit_code == 3
    assert recorder("edit", tmp_path / "none.jsonl", tmp_path / "b.jsonl", "--cut", "3").exit_code == 3
    path.write_bytes(before.replace(b"\n", b"\nno record\n", 1))
    assert recorder("edit", path, tmp_path / "b.jsonl", "--cut", "3").exit_code == 4
    assert list(tmp_path.iterdir()) == [path]
    assert recorder("edit", path, tmp_path / "b.jsonl", "--cut", "3", "--salvage").exit_code == 0
    path.write_bytes(before[:-10])
    torn = recorder("edit", path, tmp_path / "c.jsonl", "--cut", "3")
    assert (torn.exit_code, torn.stderr.count("torn last line")) == (0, 1)


def test_a_compressed_recording_is_edited_as_a_plain_one(tmp_path: Path) -> None:
    path = recordings.write(tmp_path / "a.jsonl", recordings.text())
    recorder("compact", path)

    [one] = edit(tmp_path / "a.jsonl.zst", tmp_path / "b.jsonl", "--cut", "4")

    assert len(one.events) == 4
