"""What can go wrong on the way to a bucket, and the log of what was asked."""

from collections.abc import Callable
from dataclasses import dataclass, field

from ..api_server import Fault


@dataclass
class GcsFault(Fault):
    """A fault of calls: of the named API `method` ("storage.objects.list"), with `path` in the decoded path.

    Besides an answer in place of the right one (`status`, `text`, `headers` such as Retry-After):
    `before` is run, then the call is answered as it then is: an object deleted between list and read;
    `wait` are seconds that the call takes longer;
    `reset` ends the connection before the answer, and `lost` after the call was done, so that nobody hears of it;
    `cut` sends that part of the answer's body (0.5: half a page), then ends the connection;
    `page` makes pages of a listing at most so long, even empty ones.
    """

    method: str = ""
    before: Callable[[], object] | None = None
    wait: float = 0.0
    reset: bool = False
    lost: bool = False
    cut: float | None = None
    page: int | None = None

    def hits(self, method: str, path: str) -> bool:
        """Whether it strikes this call; it counts the call then."""
        if (self.method and self.method != method) or self.path not in path or self.but in path or self.times == 0:
            return False
        if self.after > 0:
            self.after -= 1
            return False
        if self.times is not None:
            self.times -= 1
        return True

    @property
    def answers(self) -> bool:
        """Whether it stands in place of the right answer."""
        return self.status != 200 or bool(self.text)


def busy(times: int | None = 1, retry_after: int = 0, method: str = "", status: int = 503) -> GcsFault:
    """429 or 503 with Retry-After."""
    return GcsFault(status=status, times=times, method=method, headers={"Retry-After": str(retry_after)})


@dataclass(slots=True)
class Logged:
    """One call: its method, who made it, what it was after, what it was answered."""

    method: str
    line: str
    member: str | None
    touched: tuple[str, ...] = ()
    status: int = 0

    def outside(self, bucket: str, prefix: str) -> list[str]:
        """What it was after that is not below this prefix."""
        return [one for one in self.touched if not one.startswith(f"{bucket}/{prefix}")]


@dataclass
class Log:
    """The last calls, oldest first."""

    calls: list[Logged] = field(default_factory=list)
    most: int = 200_000

    def add(self, entry: Logged) -> None:
        """Keep it; the oldest half goes when there are too many."""
        if len(self.calls) >= self.most:
            del self.calls[: self.most // 2]
        self.calls.append(entry)

    def outside(self, bucket: str, prefix: str, member: str | None = None) -> list[tuple[str, str]]:
        """Line and object of every call (of this member) that was after something not below the prefix."""
        return [
            (entry.line, what)
            for entry in self.calls
            if member in (None, entry.member)
            for what in entry.outside(bucket, prefix)
        ]
