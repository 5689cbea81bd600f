"""What an operator may set for the capture agent, by environment variables of the session."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Self

from devplatform_hub.core.errors import PublicError

_PREFIX = "DEVPLATFORM_CAPTURE_"


@dataclass(frozen=True, slots=True)
class Settings:
    """Seconds and bytes. Each field is also `DEVPLATFORM_CAPTURE_<FIELD>`, such as `..._MAX_FILE_BYTES`."""

    max_file_bytes: int = 100 * 2**20
    """A larger file is not captured; the status names it."""
    quiet: float = 0.3
    """A save is over when the file has not changed for this long."""
    suspicious_quiet: float = 1.0
    """The same for a file that is empty or gone now and was not before: editors truncate or move, then write."""
    longest_wait: float = 10.0
    """A file that never stops changing is captured after this long anyway."""
    burst: int = 10
    """So many versions of one file may follow one another at once ..."""
    refill: float = 6.0
    """... and one more in each such time; what is saved in between is thinned, but not the last state before a rest."""
    rescan: float = 120.0
    """How often the whole workspace is compared with what is known, in case the kernel dropped events."""
    shutdown: float = 4.5
    """How long the last captures may take when the session ends; its supervisor waits a little longer."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """The settings, with every variable checked. `PublicError` names a wrong one."""
        given: dict[str, float | int] = {}
        for field in fields(cls):
            text = environment.get(_PREFIX + field.name.upper())
            if text is None:
                continue
            kind = int if field.type in (int, "int") else float
            try:
                value = kind(text)
            except ValueError:
                value = -1
            if not 0 < value < 2**53:
                raise PublicError(
                    f"{_PREFIX}{field.name.upper()} is not a number above 0.",
                    code="setting-invalid",
                    hint=f"The default is {field.default}.",
                )
            given[field.name] = value
        return cls(**given)  # type: ignore[arg-type]
