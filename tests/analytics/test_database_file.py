"""The file that tables are kept in: who else has it open, what may be in it, what is not."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import duckdb
import pytest

from recorder.analytics import load as loading
from recorder.analytics.database import Database
from recorder.analytics.report import QueryError
from recorder.log.files import find_segments
from recorder.log.reader import RecordingError
from tests.analytics.kept import at_once, check, content, kinds, tables, write
from tests.cli import recordings
from tests.cli.command import permissions_apply

HOLDER = """
import sys, duckdb
connection = duckdb.connect(":memory:")
connection.execute(f"ATTACH '{sys.argv[1]}' AS d {sys.argv[2]}")
print("held", flush=True)
sys.stdin.readline()
"""


def hold(database: Path, access: str) -> subprocess.Popen[str]:
    """Another process that has it open until it gets a line."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(database), access],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_process_that_finds_another_loading_waits_for_it(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", "a", kinds())
    tables(tmp_path)
    write(tmp_path / "b.jsonl", "b", kinds(50))
    notes: list[str] = []
    with hold(tmp_path / ".recorder.duckdb", "") as holder:

        def note(text: str) -> None:
            notes.append(text)
            holder.communicate("go\n")

        found = content(tables(tmp_path, note=note))
    assert notes == [f"{tmp_path / '.recorder.duckdb'}: being loaded by process {holder.pid}; waiting for it"]
    assert found == at_once(tmp_path)


def test_a_process_that_waited_in_vain_loads_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recorder.analytics.database._PATIENCE_S", 0.1)
    write(tmp_path / "a.jsonl", "a", kinds())
    tables(tmp_path)
    notes: list[str] = []
    with hold(tmp_path / ".recorder.duckdb", "") as holder:
        found = content(tables(tmp_path, note=notes.append))
        holder.communicate("go\n")
    assert [note.partition("; ")[2] for note in notes] == ["waiting for it", "loading into memory"]
    assert found == at_once(tmp_path)


def test_while_others_read_what_is_there_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recorder.analytics.database._READERS_S", 0.1)
    write(tmp_path / "a.jsonl", "a", kinds())
    before = content(tables(tmp_path))
    with hold(tmp_path / ".recorder.duckdb", "(READ_ONLY)") as holder:
        assert content(tables(tmp_path)) == before, "nothing is new, nobody is in the way"
        write(tmp_path / "b.jsonl", "b", kinds(50))
        notes: list[str] = []
        assert content(tables(tmp_path, note=notes.append)) == before
        holder.communicate("go\n")
    assert [note.partition("; ")[2] for note in notes] == ["answered from what it holds, without what is new"]
    check(tmp_path)


def test_two_in_one_process_both_answer_from_all_there_is(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", "a", kinds())
    first = tables(tmp_path)
    second = tables(tmp_path)
    assert content(first) == content(second)
    write(tmp_path / "b.jsonl", "b", kinds(50))
    notes: list[str] = []
    third = tables(tmp_path, note=notes.append)
    assert content(third) == at_once(tmp_path) != content(first)
    assert [note.partition(": ")[2] for note in notes] == ["open in this process; loading into memory"]
    del first, second
    check(tmp_path)


def test_without_write_access_it_is_in_memory() -> None:
    notes: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        write(directory / "a.jsonl", "a", kinds()).chmod(0o644)
        directory.chmod(0o555)
        with permissions_apply():
            found = tables(directory, note=notes.append)
            assert len(content(found)["streams"]) == len(recordings.KINDS)
        directory.chmod(0o755)
        assert [path.name for path in directory.iterdir()] == ["a.jsonl"]
    assert notes == [
        f"{directory / '.recorder.duckdb'}: cannot be written (permission denied); loading into memory"
    ]


@pytest.mark.slow
@pytest.mark.parametrize("spoilt", ["text", "empty", "cut", "other version", "foreign"])
def test_a_database_that_cannot_be_used_is_made_anew(tmp_path: Path, spoilt: str) -> None:
    write(tmp_path / "a.jsonl", "a", kinds())
    database = tmp_path / ".recorder.duckdb"
    tables(tmp_path)
    match spoilt:
        case "text":
            database.write_text("not a database" * 1000)
        case "empty":
            database.write_bytes(b"")
        case "cut":
            database.write_bytes(database.read_bytes()[:5000])
        case "other version":
            with duckdb.connect(str(database)) as connection:
                connection.execute("UPDATE loaded.meta SET version = 'of another'")
        case _:
            database.unlink()
            with duckdb.connect(str(database)) as connection:
                connection.execute("CREATE TABLE mine (a INTEGER)")
    notes: list[str] = []
    assert content(tables(tmp_path, note=notes.append)) == at_once(tmp_path)
    assert [note.endswith("made anew") for note in notes] == [True]
    check(tmp_path)


def test_a_database_of_somebody_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", "a", kinds())
    mine = tmp_path / "mine.duckdb"
    with duckdb.connect(str(mine)) as connection:
        connection.execute("CREATE TABLE mine (a INTEGER)")
    before = mine.read_bytes()
    with pytest.raises(RecordingError, match="no database of recordings; name another file"):
        tables(tmp_path, database=Database(mine))
    assert mine.read_bytes() == before


def test_the_database_is_the_owners_alone_and_has_no_text_in_it(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", "a", kinds())
    found = tables(tmp_path)
    database = tmp_path / ".recorder.duckdb"
    assert database.stat().st_mode & 0o777 == 0o600
    assert not (
        words := [
            word for word in (b"Be brief", b"What is a stream", b" sequence") if word in database.read_bytes()
        ]
    ), words
    assert len(list(found.query("SELECT 1 FROM events WHERE data->>'$.delta.text' = ' sequence'").rows)) > 0
    [(asked,)] = found.query("SELECT count(DISTINCT request->>'$.system') FROM streams").rows
    assert asked == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [".recorder.duckdb", "a.jsonl"]


def test_any_client_of_duckdb_can_read_it(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", "a", kinds())
    ours = content(tables(tmp_path, database=Database(tmp_path / "all.duckdb")))
    with duckdb.connect(str(tmp_path / "all.duckdb"), read_only=True) as connection:
        assert content(connection) == ours
        assert connection.sql("SELECT version FROM loaded.meta").fetchall() == [(loading.sql_version(),)]
        assert connection.sql("FROM goodput(ttft := 5)").fetchall()


def test_nothing_is_made_beside_what_is_no_recording(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"a":1}\n')
    with pytest.raises(RecordingError, match="not a recording"):
        tables(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]


@pytest.mark.parametrize(
    ("query", "needs"),
    [
        ("SELECT data FROM events", True),
        ("SELECT count(*) FROM events WHERE contains(text, 'a')", True),
        ("SELECT data->'delta' FROM events WHERE seq = 5", True),
        ("FROM streams", True),
        ("CREATE TABLE a AS FROM events; SELECT data FROM a", True),
        ("SELECT count(*) FROM events", False),
        ("SELECT max(gap_s), any_value(model) FROM events JOIN streams USING (stream)", False),
        ("WITH x AS (SELECT * FROM events) SELECT seq FROM x", False),
        ("DESCRIBE events", False),
        ("SELECT 'data', 'text' AS text", False),
        ("SELECT data FROM nowhere", False),
    ],
)
def test_texts_are_read_for_queries_that_ask_for_them(tmp_path: Path, query: str, needs: bool) -> None:
    write(tmp_path / "a.jsonl", "a", kinds())
    found = tables(tmp_path)
    for path in find_segments(tmp_path):
        path.rename(path.with_suffix(".gone"))
    if needs:
        with pytest.raises((RecordingError, OSError)):
            found.query(query)
    elif "nowhere" in query:
        with pytest.raises(QueryError, match="nowhere"):
            found.query(query)
    else:
        list(found.query(query).rows)
