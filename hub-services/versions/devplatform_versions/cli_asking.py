"""What the commands of `devplatform versions` ask the service, and which version a person means."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import click

from devplatform_hub.core.errors import PublicError

from .client import Endpoint, ServiceUnavailable, VersionsClient
from .locating import place
from .model import Version
from .moments import parse_moment
from .naming import version_names
from .renames import Rename
from .wire import parse_renames, time_text

T = TypeVar("T")


def versions_of(file: str) -> list[Version]:
    """The versions and tombstones of a file as the shell names it, newest first."""
    path = place(file)
    return ask_service(lambda client: client.versions(path), missing=f"{file} has no versions.")


def renames_of(file: str) -> dict[int, Rename]:
    """The renames of a file as the shell names it that are known, by generation."""
    path = place(file)
    return parse_renames(ask_service(lambda client: client.notes(path)))


def chosen_version(found: list[Version], file: str, at: str | None, generation: str | None) -> Version:
    """What `--at` or `--version` means; without either the newest version that is no tombstone."""
    kept = [version for version in found if not version.tombstone]
    if at is not None and generation is not None:
        raise click.UsageError("Give --at or --version, not both.")
    if generation is not None:
        return choose_version(kept, generation, file)
    if at is None:
        if not kept:
            raise PublicError(f"No version of {file} is kept any longer.", code="version-not-found", status=404)
        return kept[0]
    moment = parse_moment(at, datetime.now(UTC))
    then = next((version for version in found if version.created <= moment), None)
    if then is None or then.tombstone:
        raise PublicError(f"{file} did not exist at {time_text(moment)}.", code="version-not-found", status=404)
    return then


def choose_version(kept: list[Version], wanted: str, file: str) -> Version:
    """The version that a number, a name in `.versions` or a time means."""
    names = version_names(kept)
    for version in kept:
        if wanted in (str(version.generation), names[version.generation]):
            return version
    if wanted.isdecimal():
        raise PublicError(f"{file} has no version {wanted}.", code="version-not-found", status=404)
    moment = parse_moment(wanted, datetime.now(UTC))
    for version in kept:
        if version.created <= moment:
            return version
    raise PublicError(f"{file} did not exist at {time_text(moment)}.", code="version-not-found", status=404)


def ask_service(call: Callable[[VersionsClient], Awaitable[T]], *, missing: str | None = None) -> T:
    """What the service answers to one call; `missing` is the sentence for a 404."""

    async def run() -> T:
        async with VersionsClient(Endpoint.from_environment()) as client:
            return await call(client)

    try:
        return asyncio.run(run())
    except ServiceUnavailable:
        raise
    except PublicError as error:
        if error.status == 404 and missing is not None:
            hint = "A file gets its first version a second after it is saved; see also: devplatform versions status"
            raise PublicError(missing, code=error.code, hint=hint, status=404) from error
        raise


async def write_to_stream(client: VersionsClient, version: Version) -> None:
    """The bytes of a version on standard output."""
    async for chunk in client.content(version.path, version.generation):
        sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()


async def write_to_file(client: VersionsClient, version: Version, target: Path) -> None:
    """The bytes of a version as a file, in one step."""
    temporary = target.with_name(f".~{version.generation}-{os.getpid()}")
    try:
        with open(temporary, "xb") as file:  # noqa: ASYNC230 - this program does nothing else meanwhile
            async for chunk in client.content(version.path, version.generation):
                file.write(chunk)
            if file.tell() != version.size:
                raise ServiceUnavailable("the version was not sent whole")
        temporary.replace(target)
    except OSError as error:
        raise PublicError(f"{target} cannot be written: {error.strerror}.", code="write-failed") from error
    finally:
        temporary.unlink(missing_ok=True)
