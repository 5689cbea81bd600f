"""The files of the audit and their lines, newest first, without reading more of them than is asked for."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_BLOCK = 128 * 1024
LONGEST_LINE = 64 * 1024
"""Bytes. `audit.emit` writes half of that at most: a longer line is none of its."""
_HEAD = 512


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a file without its end; it begins at byte `start`. `text` is empty where it is not one:

    it is too long, or the last of a file and has no end, since it was torn or is just being written.
    """

    start: int
    text: bytes


class AuditFile:
    """One file, open for reading. `name` is of its content, and stays when the file is renamed or copied."""

    def __init__(self, descriptor: int, name: str) -> None:
        self._descriptor, self.name = descriptor, name
        state = os.fstat(descriptor)
        self.size, self.changed = state.st_size, state.st_mtime

    @classmethod
    def open(cls, path: Path) -> "AuditFile | None":
        """The file at this path; None where there is none, or it has no whole line yet."""
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            head, end, _ = os.pread(descriptor, _HEAD, 0).partition(b"\n")
        except OSError:
            os.close(descriptor)
            raise
        if not end and len(head) < _HEAD:
            os.close(descriptor)
            return None
        # The first line says to a millionth of a second when it was written, and never changes.
        return cls(descriptor, hashlib.sha256(head).hexdigest()[:16])

    def close(self) -> None:
        """Once nothing of it is wanted any more."""
        os.close(self._descriptor)

    def lines_before(self, end: int) -> Iterator[Line]:
        """The lines that end before byte `end`, the last one first; empty ones are left out.

        Reads in blocks, and keeps one block and one line.
        """
        rest, is_whole, is_long = b"", False, False
        position = end
        while position:
            size = min(_BLOCK, position)
            block = os.pread(self._descriptor, size, position - size)
            if len(block) < size:  # it was cut short meanwhile
                return
            first, *others = block.split(b"\n")
            start = position
            for piece in reversed(others):
                start -= len(piece)
                text = piece + rest
                if text or is_long:
                    yield Line(start, text if is_whole and not is_long and len(text) <= LONGEST_LINE else b"")
                rest, is_whole, is_long = b"", True, False
                start -= 1  # the end of the line before
            rest = first + rest
            if len(rest) > LONGEST_LINE:
                rest, is_long = b"", True
            position -= size
        if rest or is_long:
            yield Line(0, rest if is_whole else b"")

    def lines_after(self, start: int) -> Iterator[Line]:
        """The lines that begin at byte `start` or later and have an end, the first one first; read as they are taken.

        After the last one `start + len(text) + 1` is where to go on.
        """
        rest, position = b"", start
        while block := os.pread(self._descriptor, _BLOCK, position):
            position += len(block)
            *lines, last = (rest + block).split(b"\n")
            begin = position - len(block) - len(rest)
            for text in lines:
                yield Line(begin, text)
                begin += len(text) + 1
            rest = last


def open_newest_first(path: Path) -> Iterator[AuditFile]:
    """The file at `path` and those that it was rotated to (`.1`, `.2`, ...), each once; the caller closes them.

    One is opened when it is asked for: the next older one, wherever that has been moved meanwhile.
    """
    file = _next_older(path, "")
    while file is not None:
        name = file.name
        yield file
        file = _next_older(path, name)


def _next_older(path: Path, name: str) -> AuditFile | None:
    is_older = not name
    for candidate in _candidates(path):
        file = AuditFile.open(candidate)
        if file is None:
            continue
        if is_older and file.name != name:
            return file
        is_older = is_older or file.name == name
        file.close()
    return None


def _candidates(path: Path) -> Iterator[Path]:
    """In the order of their numbers. What is rotated meanwhile gets a higher one: it is met twice, and not missed."""
    yield path
    numbers = []
    with suppress(FileNotFoundError):
        for name in os.listdir(path.parent):
            before, _, number = name.rpartition(".")
            if before == path.name and number.isascii() and number.isdigit() and len(number) < 10:
                numbers.append(int(number))
    last = 0
    for last in sorted(numbers):
        yield path.with_name(f"{path.name}.{last}")
    while (moved := path.with_name(f"{path.name}.{last + 1}")).exists():
        yield moved
        last += 1
