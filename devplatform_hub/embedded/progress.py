"""What a person sees while slow steps run side by side: which ones, and for how long already."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

_CLEAR_LINE = "\r\x1b[2K"
_LINES_EVERY = 15.0  # seconds, where nobody watches a terminal


class Progress:
    """Steps with their elapsed time. On a terminal one line that moves, elsewhere a line every fifteen seconds."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._live = self._stream.isatty()
        self._running: dict[str, float] = {}
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._ticker: threading.Thread | None = None

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Say that `text` runs until the block ends, then how long it took; nothing more when the block raises."""
        started = time.monotonic()
        with self._lock:
            self._running[text] = started
            if not self._live:
                self._write(f"{text} ...\n")
            if self._ticker is None:
                self._ticker = threading.Thread(target=self._tick, daemon=True)
                self._ticker.start()
        try:
            yield
        except BaseException:
            self._finish(text, "")
            raise
        self._finish(text, f"{text}: {time.monotonic() - started:.1f} s\n")

    def _finish(self, text: str, line: str) -> None:
        with self._lock:
            del self._running[text]
            self._write((_CLEAR_LINE if self._live else "") + line)
            self._changed.notify()

    def _tick(self) -> None:
        with self._lock:
            while self._running:
                self._changed.wait(0.5 if self._live else _LINES_EVERY)
                now = time.monotonic()
                running = [f"{text} ({now - since:.0f} s)" for text, since in self._running.items()]
                if self._live and running:
                    self._write(_CLEAR_LINE + ", ".join(running)[:110])
                elif not self._live:
                    late = [
                        line for line, since in zip(running, self._running.values(), strict=True) if now - since > 10
                    ]
                    self._write("".join(f"{line} ...\n" for line in late))
            self._ticker = None

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
