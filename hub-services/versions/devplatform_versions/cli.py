"""`devplatform versions`: the versions of the files in this workspace, from a terminal, with the shell's own paths.

Exit status: 0 done, 1 refused, 2 wrong usage, 3 not found, 4 not allowed, 5 the service cannot be reached, 6 conflict.
"""

import asyncio
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from devplatform_hub.core.errors import PublicError

from . import cli_output as output
from .cli_asking import (
    ask_service,
    choose_version,
    chosen_version,
    renames_of,
    versions_of,
    write_to_file,
    write_to_stream,
)
from .history import arrange
from .locating import place, workspace
from .model import Version
from .moments import parse_moment
from .naming import version_names
from .presentation import display_size
from .wire import entry_json, notes_json, time_text, version_json, visit_json

T = TypeVar("T")
_EXIT = {400: 1, 401: 4, 403: 4, 404: 3, 409: 6, 412: 6, 503: 5}
_WAIT_FOR_AGENT = 5.0


class _Group(click.Group):
    """Says what went wrong in one sentence and ends with the status for it."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except PublicError as error:
            if ctx.params.get("as_json") or "--json" in sys.argv:
                click.echo(json.dumps({"error": error.as_dict()}), err=True)
            else:
                click.echo(f"Error: {output.plain(error.message)} ({error.code})", err=True)
                if error.hint:
                    click.echo(output.plain(error.hint), err=True)
            ctx.exit(_EXIT.get(error.status, 1))
        except BrokenPipeError:  # `| head` has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(0)


_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
_AT = click.option("--at", metavar="TIME", help="As it was then: 2024-03-15T14:30Z, '2024-03-15 14:30' (UTC), 3h, 2d.")
_SILENT = {"hidden": None, "burst": None, "renamed_from": None, "renamed_to": None}
_VERSION = click.option("--version", "generation", metavar="GEN", help="The version with this number (see log).")


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
def versions() -> None:
    """List, compare and bring back old versions of the files in this workspace."""


@versions.command("ls")
@click.argument("folder", default=".")
@click.option("--deleted", is_flag=True, help="Show deleted files too.")
@_JSON
def list_folder(folder: str, deleted: bool, as_json: bool) -> None:
    """What has versions in a folder."""
    path = place(folder, allow_root=True)
    entries = ask_service(lambda client: client.folder(path, deleted=deleted))
    if not entries and path:
        # An empty folder and one that never was look the same; a file is worth a hint.
        ask_service(lambda client: client.versions(path, most=1), missing=f"{folder} has no versions.")
        raise PublicError(f"{folder} is a file.", code="not-a-folder", hint=f"Try: devplatform versions log {folder}")
    if as_json:
        click.echo(json.dumps([entry_json(entry) for entry in entries]))
    else:
        output.show_folder(entries)


@versions.command("log")
@click.argument("file")
@click.option("--all", "everything", is_flag=True, help="Show what is folded or hidden too.")
@_JSON
def log(file: str, everything: bool, as_json: bool) -> None:
    """The versions of a file, newest first. Bursts of saves are folded, what programs leave while they save is hidden.

    With --json all are there, and say `hidden` (why), `burst` (below which version), `renamed_from`, `renamed_to`.
    """
    found, renames = versions_of(file), renames_of(file)
    if as_json:
        names = version_names(found)
        notes = {note["generation"]: note for note in notes_json(arrange(found, pinned=renames), None, renames)}
        described = (_SILENT | version_json(v) | notes.get(str(v.generation), {}) for v in found)
        click.echo(json.dumps([{**body, "name": names.get(int(body["generation"]))} for body in described]))
    else:
        output.show_history(arrange(found, pinned=renames, reveal=everything), version_names(found), renames)


@versions.command("diff")
@click.argument("file")
@click.argument("a", required=False)
@click.argument("b", required=False)
@_JSON
def diff(file: str, a: str | None, b: str | None, as_json: bool) -> None:
    """How a file changed from version A to B: numbers, times or names. Without them: by the last save."""
    found = versions_of(file)
    kept = [version for version in found if not version.tombstone]
    if a is None and len(kept) < 2:
        raise PublicError(f"{file} has one version only.", code="nothing-to-compare")
    # The save before, not what a program left on the way to this one.
    saves = [row.version for row in arrange(found).rows if not row.version.tombstone]
    old = (saves if len(saves) > 1 else kept)[1] if a is None else choose_version(kept, a, file)
    new = kept[0] if b is None else choose_version(kept, b, file)
    path = place(file)
    answer = ask_service(lambda client: client.diff(path, old.generation, new.generation))
    if as_json:
        click.echo(json.dumps({"a": version_json(old), "b": version_json(new), **answer}))
    else:
        output.show_diff(answer)


@versions.command("get")
@click.argument("file")
@_AT
@_VERSION
@click.option("-o", "--output", "target", metavar="OUT", help="Where to write it; - is the terminal or pipe.")
@click.option("--force", is_flag=True, help="Replace OUT if it is there.")
@_JSON
def get(file: str, at: str | None, generation: str | None, target: str | None, force: bool, as_json: bool) -> None:
    """Write an old version beside the file, under the name that it has in .versions."""
    found = versions_of(file)
    version = chosen_version(found, file, at, generation)
    name = target or version_names(found)[version.generation]
    if name == "-":
        ask_service(lambda client: write_to_stream(client, version))
        return
    written = Path(name) / version_names(found)[version.generation] if os.path.isdir(name) else Path(name)
    if os.path.lexists(written) and not force:
        raise PublicError(f"{written} is there already.", code="file-exists", hint="Choose -o OUT, or --force.")
    ask_service(lambda client: write_to_file(client, version, written))
    if as_json:
        click.echo(json.dumps({"written": str(written), "version": version_json(version)}))
    else:
        click.echo(
            f"{output.plain(str(written))}: {display_size(version.size)}, saved {output.moment(version.created)}"
        )


@versions.command("restore")
@click.argument("path")
@_AT
@_VERSION
@click.option("--yes", is_flag=True, help="Do not ask.")
@_JSON
def restore(path: str, at: str | None, generation: str | None, yes: bool, as_json: bool) -> None:
    """Bring a file or a folder back. Adds versions, destroys none. A deleted file comes back without options."""
    inside = place(path, allow_root=True)
    found: list[Version] | None = None
    if inside:
        try:
            found = versions_of(path)
        except PublicError as error:
            if error.status != 404:
                raise
    if found is None:
        _restore_folder(path, inside, at, yes, as_json)
    else:
        _restore_file(path, found, at, generation, yes, as_json)


@versions.command("status")
@_JSON
def status(as_json: bool) -> None:
    """How capturing is going in this workspace."""
    body = output.read_status(workspace())
    if as_json:
        click.echo(json.dumps(body))
    else:
        output.show_status(body)
    if not body["running"]:
        sys.exit(1)


@versions.command("visits")
@_JSON
def visits(as_json: bool) -> None:
    """Which administrators looked into your versions, when and why; the newest first."""
    found = ask_service(lambda client: client.visits())
    if as_json:
        click.echo(json.dumps([visit_json(visit) for visit in found]))
    else:
        output.show_visits(found, datetime.now(UTC))


def _restore_file(
    file: str, found: list[Version], at: str | None, generation: str | None, yes: bool, as_json: bool
) -> None:
    newest = found[0]
    if at is None and generation is None:
        if newest.live:
            raise PublicError(
                f"Say which version of {file} to bring back.",
                code="version-missing",
                hint=f"See: devplatform versions log {file}. Then give --version GEN or --at TIME.",
            )
        generation = next((str(version.generation) for version in found if not version.tombstone), None)
    version = chosen_version(found, file, at, generation)
    _confirm(f"Bring back {output.plain(file)} as it was saved {output.moment(version.created)}?", yes)
    match = newest.generation if newest.live else 0
    made = ask_service(lambda client: client.restore(version.path, version.generation, if_generation_match=match))
    arrived = ask_service(lambda _: _arrival(workspace() / made.path, made.size))
    if as_json:
        click.echo(json.dumps({"version": version_json(made), "in_workspace": arrived}))
        return
    click.echo(f"Restored {output.plain(file)} as version {made.generation}.")
    if not arrived:
        click.echo("It will be in the workspace once the capture agent is back (see: devplatform versions status).")


def _restore_folder(folder: str, inside: str, at: str | None, yes: bool, as_json: bool) -> None:
    if at is None:
        raise PublicError(
            f"{folder} is a folder, or has no versions: say to which moment to bring it back.",
            code="time-missing",
            hint=f"Such as: devplatform versions restore {folder} --at 2h",
        )
    moment = parse_moment(at, datetime.now(UTC))
    plan = ask_service(lambda client: client.restore_folder(inside, moment, dry_run=True))
    if not plan["restored"] and not plan["deleted"]:
        if as_json:
            click.echo(json.dumps(plan))
        else:
            click.echo(f"Nothing to do: {plan['unchanged']} files are as they were at {time_text(moment)}.")
        return
    if not as_json:
        output.show_plan(plan, moment)
    _confirm("Do that?", yes)
    result = ask_service(lambda client: client.restore_folder(inside, moment, dry_run=False))
    if as_json:
        click.echo(json.dumps(result))
    else:
        click.echo(f"Restored {len(result['restored'])} files, removed {len(result['deleted'])}.")
        for failure in result["failed"]:
            click.echo(f"Not restored: {output.plain(failure['path'])}: {failure['error']['message']}", err=True)
    if result["failed"]:
        sys.exit(1)


async def _arrival(file: Path, size: int) -> bool:
    """Whether the agent wrote a restored file into the workspace within a few seconds."""
    begun = datetime.now(UTC).timestamp() - 2
    for _ in range(int(_WAIT_FOR_AGENT / 0.1)):
        if _is_written(file, size, begun):
            return True
        if not output.agent_runs(workspace()):
            return False
        await asyncio.sleep(0.1)
    return False


def _is_written(file: Path, size: int, since: float) -> bool:
    try:
        found = file.lstat()
    except OSError:
        return False
    return found.st_size == size and found.st_mtime >= since


def _confirm(question: str, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise PublicError(
            "There is nobody to ask.", code="confirmation-needed", hint="Add --yes to do it without asking."
        )
    if not click.confirm(question):
        raise PublicError("Nothing was changed.", code="not-confirmed")


if __name__ == "__main__":
    versions(prog_name="devplatform versions")
