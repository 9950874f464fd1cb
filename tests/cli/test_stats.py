"""What `recorder stats` prints and how it exits."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli import recordings
from tests.cli.command import recorder
from tests.cli.test_commands import rows

PROGRAM = Path(sys.executable).with_name("recorder")


def test_stats_counts_outcomes_overall_and_by_model(path: Path) -> None:
    table, _, _ = recorder("stats", path).stdout.partition("\n\n")

    assert [(row["model"], row["streams"], row["complete"], row["failed"]) for row in rows(table)] == [
        ("(all)", "11", "4", "1"),
        ("claude-haiku-4-5", "9", "2", "1"),
        ("claude-opus-4-5", "1", "1", "0"),
        ("claude-sonnet-4-5", "1", "1", "0"),
    ]


def test_stats_prints_percentiles_with_n_and_the_adjusted_ones_beside(path: Path) -> None:
    _, _, table = recorder("stats", path).stdout.partition("\n\n")

    found = {(row["model"], row["metric"]): row for row in rows(table)}
    assert found["(all)", "ttft_s"] == {
        "model": "(all)", "metric": "ttft_s", "n": "8", "p50": "0.400", "p95": "0.500", "p99": "0.500", "max": "0.500",
        "note": "p99: n too small",
    }  # fmt: skip
    adjusted = found["(all)", "ttft_s_adjusted"]
    assert (adjusted["n"], adjusted["p50"], adjusted["p95"]) == ("10", "0.400", "inf")
    assert (adjusted["max"], adjusted["note"]) == ("inf", "p99: n too small")
    assert not any("TTFT" in name or name == "ttft" for _, name in found)


def test_stats_of_one_model_are_not_printed_twice(text: Path) -> None:
    assert "claude" not in recorder("stats", text).stdout


def test_stats_as_json(path: Path) -> None:
    found = json.loads(recorder("stats", path, "--format", "json").stdout)

    assert found["outcomes"][0]["outcomes"]["complete"] == 4
    [adjusted] = [
        row for row in found["percentiles"] if row["metric"] == "ttft_s_adjusted" and row["group"] is None
    ]
    assert (adjusted["p50"], adjusted["p99"]) == (0.4, "inf")


def test_stats_draws_enough_values(tmp_path: Path) -> None:
    streams = [
        recordings.stream(f"{n:02}", recordings.text_chunks(["a", "b"], start=400 + 10 * n)) for n in range(20)
    ]
    output = recorder("stats", recordings.write(tmp_path / "a.jsonl", *streams)).stdout

    bars = output.partition("\nttft_s\n")[2].splitlines()
    assert [line.split()[-1] for line in bars] == ["5", "5", "5", "5"] or sum(
        int(line.split()[-1]) for line in bars
    ) == 20
    assert all("█" in line for line in bars)


def test_stats_by_tag_names_its_column_after_it(tmp_path: Path) -> None:
    recordings.write(
        tmp_path / "a.jsonl",
        recordings.text("01", tags={"who": "me"}),
        recordings.text("02"),
        recordings.lost("03"),
    )
    table = recorder("stats", tmp_path, "--by", "tag:who").stdout.partition("\n\n")[0]

    assert [(row["tag:who"], row["streams"]) for row in rows(table)] == [
        ("(all)", "3"),
        ("(none)", "2"),
        ("me", "1"),
    ]


def test_stats_of_one_metric(path: Path) -> None:
    lines = recorder("stats", path, "--metric", "headers_s", "--format", "jsonl").stdout.splitlines()

    assert {json.loads(line)["metric"] for line in lines} == {"headers_s"}
    assert {json.loads(line)["n"] for line in lines} == {1, 7, 9}


def test_stats_as_csv_has_every_metric_of_every_group(path: Path) -> None:
    table = list(csv.DictReader(io.StringIO(recorder("stats", path, "--format", "csv").stdout)))

    assert {(row["model"], row["metric"]) for row in table} >= {("", "output_tps"), ("claude-opus-4-5", "tpot_s")}
    assert [row["p95"] for row in table if (row["model"], row["metric"]) == ("", "ttft_s_adjusted")] == ["inf"]


def test_stats_since_and_until_and_where(path: Path) -> None:
    def streams(*options: str) -> int:
        found = json.loads(recorder("stats", path, *options, "--format", "json").stdout)["outcomes"]
        return found[0]["streams"] if found else 0

    assert streams("--since", "2026-11-21T01:05:02") == 9
    assert streams("--since", "2026-11-21T03:05:02+02:00", "--until", "2026-11-21T01:05:04") == 2
    assert streams("--until", "2026-11-20") == 0
    assert streams("--since", "1s") == 0
    assert streams("--where", "tags IS NULL AND outcome <> 'complete'") == 7


def test_stats_of_nothing_says_so(path: Path) -> None:
    result = recorder("stats", path, "--where", "false")

    assert (result.exit_code, result.stderr) == (0, "No stream there was sent then, or is as asked.\n")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--by", "a b"], "--by: 'a b' is none of model, hour, day"),
        (["--since", "yesterday"], "Invalid value for '--since': 'yesterday' is no time"),
        (["--metric", "ttft"], "Invalid value for '--metric'"),
        (["--slo", "ttft=fast"], "Invalid value for '--slo': 'ttft=fast' is no limit"),
        (["--min-goodput", "2"], "Invalid value for '--min-goodput': '2' is no share"),
        (["--slo", "complete", "--compare", "a", "b"], "--compare and --slo are two questions"),
    ],
)
def test_wrong_usage_of_stats_is_one_line(path: Path, options: list[str], says: str) -> None:
    result = recorder("stats", path, *options)

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"error: {says}")
    assert result.stderr.count("\n") == 1


def test_a_condition_that_duckdb_refuses_is_its_message(path: Path) -> None:
    result = recorder("stats", path, "--where", "nope > 1")

    assert result.exit_code == 5
    assert "nope" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("slo", "least", "code", "says"),
    [
        ("ttft=400ms,complete", "30%", 0, ""),
        ("ttft=400ms,complete", "31%", 1, "error: goodput: 3 of 10 calls met every limit, fewer than 31 %\n"),
        ("ttft=400ms,complete", None, 1, "error: goodput: 3 of 10 calls met every limit, fewer than 100 %\n"),
    ],
)
def test_the_exit_code_tells_ci_whether_the_goodput_is_enough(
    tmp_path: Path, slo: str, least: str | None, code: int, says: str
) -> None:
    good = [recordings.text(f"{n:02}") for n in range(3)]
    recordings.write(tmp_path / "a.jsonl", *good, *(recordings.failed(f"1{n}") for n in range(7)))
    options = ["--slo", slo] + (["--min-goodput", least] if least else [])

    done = subprocess.run([PROGRAM, "stats", tmp_path, *options], capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (code, says)
    assert rows(done.stdout) == [
        {
            "model": "(all)",
            "calls": "10",
            "met": "3",
            "goodput": "30.00%",
            "missed_ttft": "0",
            "missed_complete": "7",
        }
    ]


def test_a_goodput_of_nothing_is_no_success(path: Path) -> None:
    result = recorder("stats", path, "--slo", "complete", "--where", "false")

    assert result.exit_code == 3
    assert result.stderr == "error: no calls that asked for a stream: nothing was judged\n"


def test_a_goodput_is_never_rounded_up_to_all(tmp_path: Path) -> None:
    whole = [recordings.text(f"{n:05}") for n in range(300)]
    recordings.write(tmp_path / "a.jsonl", *whole, *[recordings.lost("10" + f"{n:05}") for n in range(1)])

    [row] = rows(recorder("stats", tmp_path, "--slo", "complete").stdout)

    assert (row["met"], row["goodput"]) == ("300", "99.66%")


def test_two_recordings_are_compared(tmp_path: Path) -> None:
    for name, first in (("a", 400), ("b", 900)):
        made = [
            recordings.stream(f"{name}{n:02}", recordings.text_chunks(["x", "y"], start=first + 10 * n))
            for n in range(30)
        ]
        recordings.write(tmp_path / name / "a.jsonl", *made)

    result = recorder("stats", "--compare", tmp_path / "a", tmp_path / "b", "--metric", "ttft_s")

    p50, *_, p99 = rows(result.stdout)
    assert (p50["quantile"], p50["a"], p50["b"], p50["difference"]) == ("p50", "0.545", "1.045", "+0.500")
    assert 0.3 < float(p50["low"]) < 0.5 < float(p50["high"]) < 0.7
    assert (p99["quantile"], p99["note"]) == ("p99", "n too small")
    assert result.stderr == "B less A; intervals of 95 %, bootstrap, seed 20261121.\n"
    assert (
        recorder("stats", "--compare", tmp_path / "a", tmp_path / "b", "--metric", "ttft_s").stdout
        == result.stdout
    )


def test_two_groups_of_a_recording_are_compared(path: Path) -> None:
    result = recorder("stats", path, "--compare", "claude-haiku-4-5", "claude-opus-4-5", "--format", "json")
    p50 = json.loads(result.stdout)[4]
    missing = recorder("stats", path, "--compare", "claude-haiku-4-5", "nobody")

    assert (p50["metric"], p50["quantile"], p50["n_a"], p50["n_b"]) == ("first_event_s", "p50", 6, 1)
    assert (missing.exit_code, missing.stderr) == (3, "error: model 'nobody': no streams to compare\n")
