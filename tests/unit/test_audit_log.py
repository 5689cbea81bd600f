"""Reading the audit back, newest first, whatever is in its files and whatever happens to them meanwhile."""

import json
import os
import random
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from devplatform_hub.core.errors import PublicError
from devplatform_hub.servicekit import audit, audit_files
from devplatform_hub.servicekit.audit_log import Follower, pages, read_page
from devplatform_hub.servicekit.audit_query import Query

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
ALL = Query()


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "audit.jsonl"
    monkeypatch.setenv("DEVPLATFORM_AUDIT_FILE", str(path))
    return path


def write(number: int, actor: str = "alice", why: str = "") -> None:
    audit.emit("person.refresh", actor=actor, outcome="allowed", target=str(number), why=why,
               now=NOON + timedelta(seconds=number))  # fmt: skip


def rotate(path: Path, how: str = "renamed") -> None:
    """As `audit` or logrotate does it."""
    numbers = [int(found.suffix[1:]) for found in path.parent.glob("audit.jsonl.[0-9]*")]
    for number in sorted(numbers, reverse=True):
        path.with_name(f"audit.jsonl.{number}").rename(path.with_name(f"audit.jsonl.{number + 1}"))
    if how == "renamed":
        path.rename(path.with_name("audit.jsonl.1"))
    else:
        shutil.copy2(path, path.with_name("audit.jsonl.1"))
        os.truncate(path, 0)


def numbers(events: list[Any]) -> list[int]:
    return [int(event["target"]) for event in events]


def everything(path: Path, query: Query = ALL, **how: Any) -> list[int]:
    """All pages, one after the other."""
    found: list[int] = []
    cursor = ""
    while True:
        page = read_page(path, query, cursor=cursor, **how)
        found, cursor = found + numbers(page.events), page.cursor
        if not cursor:
            return found


@pytest.fixture(params=[7, 64, 128 * 1024], ids=["blocks of 7", "blocks of 64", "blocks as they are"])
def blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Ends of blocks are everywhere."""
    monkeypatch.setattr(audit_files, "_BLOCK", request.param)
    return iter(())


@pytest.mark.parametrize("limit", [1, 3, 1000])
def test_newest_first_page_by_page(file: Path, blocks: None, limit: int) -> None:
    """Through rotated files, the tenth before the eleventh; pages neither overlap nor leave out."""
    for number in range(36):
        write(number)
        if number % 3 == 2 and number < 34:
            rotate(file)
    file.with_name("audit.jsonl.gz").write_bytes(b"something else")
    assert everything(file, limit=limit) == list(range(35, -1, -1))


@pytest.mark.parametrize("how", ["renamed", "copied"])
def test_a_cursor_stays_right_while_lines_come_and_files_are_rotated(file: Path, how: str) -> None:
    """What is new is on no later page, and nothing is there twice or not at all."""
    for number in range(10):
        write(number)
    first = read_page(file, ALL, limit=4)
    write(10)
    second = read_page(file, ALL, limit=2, cursor=first.cursor)
    rotate(file, how)
    write(11)
    rotate(file, how)
    third = read_page(file, ALL, limit=2, cursor=second.cursor)
    write(12)
    fourth = read_page(file, ALL, cursor=third.cursor)
    found = [numbers(page.events) for page in (first, second, third, fourth)]
    assert found == [[9, 8, 7, 6], [5, 4], [3, 2], [1, 0]]
    assert everything(file) == list(range(12, -1, -1))


@pytest.mark.parametrize("how", ["renamed", "copied"])
@pytest.mark.parametrize("step", range(5))
def test_a_rotation_while_files_are_read(file: Path, step: int, how: str) -> None:
    """Whenever it comes, every file is read once."""
    for number in range(4):
        if number:
            rotate(file)
        write(number)
    read = []
    for place, found in enumerate(audit_files.open_newest_first(file)):
        read += [json.loads(line.text)["target"] for line in found.lines_before(found.size)]
        found.close()
        if place == step:
            rotate(file, how)
            write(9)
            rotate(file, how)
    assert read == ["3", "2", "1", "0"]


@pytest.mark.parametrize("at", range(1, 15))
def test_a_rotation_between_two_looks_at_files(file: Path, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """While the next file is looked for, all of them get another name."""
    for number in range(4):
        if number:
            rotate(file)
        write(number)
    real, looks = audit_files.AuditFile.open, 0

    def look(path: Path) -> audit_files.AuditFile | None:
        nonlocal looks
        looks += 1
        if looks == at:
            rotate(file)
            write(9)
        return real(path)

    monkeypatch.setattr(audit_files.AuditFile, "open", look)
    found = everything(file)
    assert [number for number in found if number != 9] == [3, 2, 1, 0]
    assert found[:1] == [9] or 9 not in found


def test_a_cursor_of_a_file_that_is_gone_leads_to_the_end(file: Path) -> None:
    """Everything older is gone too."""
    for number in range(4):
        write(number)
    page = read_page(file, ALL, limit=2)
    file.unlink()
    write(9)
    assert read_page(file, ALL, cursor=page.cursor).events == []


@pytest.mark.parametrize("cursor", ["x", "%%%", "MS4uMA", "\u00e4", "a" * 10_000, "MS4wMTIzNDU2Nzg5YWJjZGVmLmZmCg"])
def test_an_invented_cursor_is_refused(file: Path, cursor: str) -> None:
    """With a code, whatever it is."""
    write(1)
    with pytest.raises(PublicError) as refused:
        read_page(file, ALL, cursor=cursor)
    assert refused.value.code == "cursor-invalid"


def test_what_is_no_event_is_left_out_and_counted(file: Path, blocks: None) -> None:
    """Torn lines, what is no JSON, no object, too long or too deep; empty lines are not counted."""
    write(0)
    with file.open("ab") as stream:
        for broken in (b"", b"no json", b"[1]", b"{", b"{}}", b"\0\0\0", b"{" + b"\xff" * 9 + b"}", b'{"a":' * 9999):
            stream.write(broken + b"\n")
        stream.write(b"{" + b"x" * (audit_files.LONGEST_LINE + 1) + b"}\n")
        stream.write(b'{"time": "2026')
    write(1)
    with file.open("ab") as stream:
        stream.write(b'{"time": "2026-05-01T')
    page = read_page(file, ALL)
    assert (numbers(page.events), page.unreadable, page.cursor) == ([1, 0], 10, "")


def test_a_line_after_a_torn_one_is_a_line(file: Path) -> None:
    """What a full disk left of a line does not take the next one with it."""
    file.write_bytes(b'{"time": "2026-05-01T1')
    write(1)
    write(2)
    assert [line[:1] for line in file.read_text().splitlines()] == ["{", "{", "{"]
    assert everything(file) == [2, 1]


def test_a_file_that_may_be_written_and_not_read(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines go there all the same."""
    opened = os.open

    def as_a_stranger(path: Any, flags: int, *mode: Any, **more: Any) -> int:
        if flags & os.O_RDWR:
            raise PermissionError(13, "Permission denied", path)
        return opened(path, flags, *mode, **more)

    monkeypatch.setattr(os, "open", as_a_stranger)
    write(1)
    write(2)
    monkeypatch.undo()
    assert everything(file) == [2, 1]


def test_work_is_bounded(file: Path) -> None:
    """A page ends after so many bytes, found something or not, and its cursor goes on there."""
    for number in range(100):
        write(number, actor="rare" if number == 3 else "alice")
    size = file.stat().st_size
    page = read_page(file, Query(actor="rare"), max_bytes=size // 4)
    assert (page.events, bool(page.cursor), size // 4 <= page.bytes_read < size // 4 + 300) == ([], True, True)
    assert everything(file, Query(actor="rare"), max_bytes=size // 4) == [3]
    found = list(pages(file, Query(actor="rare"), limit=1))
    assert [numbers(page.events) for page in found] == [[3]]


def test_since_ends_the_search(file: Path) -> None:
    """Lines that are a little out of order are found; what is much older is not read, neither are older files."""
    for number in (0, 1, 5000, 5002, 5001):
        write(number)
    rotate(file)
    os.utime(file.with_name("audit.jsonl.1"), (0, (NOON + timedelta(seconds=5003)).timestamp()))
    write(9000)
    page = read_page(file, Query(since=NOON + timedelta(seconds=5001)))
    assert (numbers(page.events), page.cursor) == ([9000, 5001, 5002], "")
    assert page.bytes_read < 5 * 150
    late = read_page(file, Query(since=NOON + timedelta(seconds=6000)))
    assert (numbers(late.events), late.bytes_read) == ([9000], file.stat().st_size)
    assert numbers(read_page(file, Query(until=NOON + timedelta(seconds=5001))).events) == [5000, 1, 0]


@pytest.mark.parametrize("name", ["al\u00edce", 'a"b\\c', "a\nb", "\u202e", "\U0001f600"])
def test_strange_names_are_found(file: Path, name: str) -> None:
    """The short cut over bytes does not lose what JSON writes otherwise."""
    write(1, actor=name, why="because")
    write(2)
    for query in (Query(actor=name), Query(text="BECAUSE"), Query(actor=name, target="1", action="person")):
        assert everything(file, query) == [1]


def test_without_a_file_there_is_nothing(tmp_path: Path) -> None:
    """Nor in a folder that is not there, nor in an empty file."""
    (tmp_path / "empty.jsonl").touch()
    for name in ("none.jsonl", "no/such/folder.jsonl", "empty.jsonl"):
        assert read_page(tmp_path / name, ALL).events == []


@pytest.mark.parametrize("how", ["renamed", "copied"])
def test_following(file: Path, how: str) -> None:
    """From before there is a file, through rotations, several between two looks, and one with a late line."""
    follower = Follower(file)
    assert (follower.poll(), follower.cursor) == ([], "")
    told: list[int] = []
    number = 0
    for written, rotations in ((1, 0), (2, 1), (0, 0), (3, 2), (1, 1), (2, 0)):
        for _ in range(max(1, rotations)):
            for _ in range(written):
                write(number)
                number += 1
            if rotations:
                rotate(file, how)
        if how == "renamed" or not rotations:  # copying is where lines are lost
            told += numbers(follower.poll())
            assert told == list(range(number))
        else:
            told = list(range(number))
            numbers(follower.poll())
    if how == "renamed":
        rotate(file)
        write(98)
        assert numbers(follower.poll()) == [98]
        with file.with_name("audit.jsonl.1").open("a") as late:
            late.write(json.dumps({"target": "99"}) + "\n")
        assert numbers(follower.poll()) == [99]
    follower.close()
    begun = Follower(file)
    assert begun.poll() == []
    assert numbers(read_page(file, ALL, limit=1, cursor=begun.cursor).events) == [
        98 if how == "renamed" else number - 1
    ]
    begun.close()


def test_following_a_file_that_somebody_deletes(file: Path) -> None:
    """What is in older files is not told as new."""
    write(1)
    rotate(file)
    write(2)
    follower = Follower(file)
    file.unlink()
    assert follower.poll() == []
    write(3)
    assert (numbers(follower.poll()), follower.poll()) == ([3], [])
    follower.close()


def test_many_sizes_of_lines_and_blocks(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read backwards and forwards, from any page, the lines are those of the file."""
    chance = random.Random(7)
    for number in range(60):
        write(number, why="x" * chance.choice((0, 1, 200, 512)))
    for size in (1, 2, 3, 50, 333, 4096):
        monkeypatch.setattr(audit_files, "_BLOCK", size)
        assert everything(file, limit=chance.randint(1, 20)) == list(range(59, -1, -1))
        whole = audit_files.AuditFile.open(file)
        assert whole is not None
        assert [line.text for line in whole.lines_after(0)] == file.read_bytes().splitlines()
        whole.close()
