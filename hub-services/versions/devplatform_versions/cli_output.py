"""What `devplatform versions` prints for people: tables, times in UTC, names without control characters."""

import json
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from .capture.state_folder import state_folder
from .capture.status import STATUS_FILE
from .history import Group, History, Row
from .model import FolderEntry, Visit
from .noise import word, words
from .presentation import display_size, display_span
from .renames import Rename

_MOST_SHOWN = 20
_FILE_HEADS = ("--- ", "+++ ")


def plain(text: str) -> str:
    """A text that cannot steer the terminal: control and format characters are escaped."""
    return "".join(c if c.isprintable() or c == " " else c.encode("unicode_escape").decode() for c in text)


def moment(value: datetime) -> str:
    """A time to the second, UTC."""
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def show_folder(entries: Sequence[FolderEntry]) -> None:
    """Folders first."""
    rows = [("", "", "", f"{plain(entry.name)}/") for entry in entries if entry.is_folder]
    for entry in entries:
        if entry.newest is not None and not entry.is_folder:
            state = " (deleted)" if entry.newest.tombstone or entry.deleted else ""
            rows.append(
                (
                    moment(entry.newest.created),
                    display_size(entry.newest.size),
                    str(entry.versions),
                    plain(entry.name) + state,
                )
            )
    _table(("SAVED", "SIZE", "VERSIONS", "NAME"), rows)


def show_history(history: History, names: Mapping[int, str], renames: Mapping[int, Rename]) -> None:
    """The number of a version is what `--version` takes; its name is that in `.versions`."""
    rows: list[tuple[str, ...]] = []
    for item in history.items:
        if isinstance(item, Group):
            told = f"{len(item.rows)} more saves within {display_span(item.span)}"
            rows.append(("...", moment(item.oldest.created), "", plain(item.oldest.author), told, ""))
        else:
            rows.append(_version_line(item, names, renames))
    _table(("VERSION", "SAVED", "SIZE", "BY", "HOW", "NAME IN .versions"), rows)
    if hidden := words(history.hidden_counts):
        click.echo(f"Hidden: {hidden}.", err=True)
    if hidden or any(isinstance(item, Group) for item in history.items):
        click.echo("--all shows every version.", err=True)


def _version_line(row: Row, names: Mapping[int, str], renames: Mapping[int, Rename]) -> tuple[str, ...]:
    version = row.version
    what = "deleted" if version.tombstone else version.origin.value
    if rename := renames.get(version.generation):
        what += f", renamed {'from' if rename.came_from else 'to'} {plain(rename.path)}"
    if row.reason is not None:
        what += f", {word(row.reason)}"
    if version.live:
        what += ", current"
    shown = "" if version.tombstone else display_size(version.size)
    named = plain(names.get(version.generation, ""))
    return (str(version.generation), moment(version.created), shown, plain(version.author), what, named)


def show_visits(found: Sequence[Visit], now: datetime) -> None:
    """Each visit of an administrator in a line, its reason in the next."""
    if not found:
        click.echo("Nobody has looked into your file versions.")
    for visit in found:
        until = f"may look until {moment(visit.until)}" if visit.over > now else f"ended {moment(visit.over)}"
        click.echo(f"{moment(visit.opened)}  {plain(visit.actor)} (administrator), {until}")
        click.echo(f"  {plain(visit.reason)}")


def show_diff(answer: Mapping[str, Any]) -> None:
    """A unified diff, in colour on a terminal."""
    if answer["kind"] == "binary":
        click.echo("These are not texts, and they differ.")
        return
    text = answer.get("unified")
    lines = text.splitlines() if isinstance(text, str) else _cells(answer.get("cells") or ())
    if not lines:
        click.echo("No differences.")
    for line in lines:
        colour = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1])
        click.echo(click.style("".join(c if c == "\t" else plain(c) for c in line), fg=colour))
    if answer.get("truncated"):
        click.echo("... there is more; compare the files with a program of your own.", err=True)


def show_plan(plan: Mapping[str, Any], at: datetime) -> None:
    """What restoring a folder would do."""
    click.echo(f"Back to {moment(at)}: {plan['unchanged']} files stay as they are.")
    for verb, paths in (("restore", plan["restored"]), ("remove", plan["deleted"])):
        for path in paths[:_MOST_SHOWN]:
            click.echo(f"  {verb} {plain(path)}")
        if len(paths) > _MOST_SHOWN:
            click.echo(f"  {verb} {len(paths) - _MOST_SHOWN} more")


def read_status(root: Path) -> dict[str, Any]:
    """What the agent says about itself, and whether it is there to say it."""
    try:
        body = dict(json.loads((state_folder(root) / STATUS_FILE).read_text()))
    except (OSError, ValueError):
        body = {"state": "never ran", "queue": 0, "captured": 0, "refused": {}, "refused_count": 0, "notes": []}
    body["running"] = agent_runs(root)
    body["workspace"] = str(root)
    if not body["running"] and body["state"] not in ("stopped", "never ran"):
        body["state"] = "ended unexpectedly"
    return body


def agent_runs(root: Path) -> bool:
    """Whether the process that wrote the status is there."""
    try:
        body = json.loads((state_folder(root) / STATUS_FILE).read_text())
        if body["state"] == "stopped":
            return False
        os.kill(int(body["pid"]), 0)
    except PermissionError:
        return True
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return True


def show_status(body: Mapping[str, Any]) -> None:
    """A few lines; what is refused comes last."""
    click.echo(f"Workspace   {body['workspace']}")
    click.echo(f"Capturing   {body['state']}" + ("" if body["running"] else " (the agent is not running)"))
    click.echo(f"Waiting     {body['queue']} files")
    captured = f"{body['captured']} versions, {body.get('deleted', 0)} deletions, {body.get('restored', 0)} restores"
    click.echo(f"Captured    {captured} in this session" if body["captured"] else f"Captured    {captured}")
    if body.get("last_capture"):
        click.echo(f"Last        {body['last_capture']}")
    if body.get("last_error"):
        error = body["last_error"]
        click.echo(f"Last error  {error['time']}: {plain(error['message'])} ({error['code']})")
    for note in body.get("notes", ()):
        click.echo(f"Note        {plain(note)}")
    for path, reason in sorted(body["refused"].items()):
        click.echo(f"Refused     {plain(path)}: {plain(reason)}")
    if body["refused_count"] > len(body["refused"]):
        click.echo(f"Refused     {body['refused_count'] - len(body['refused'])} more")


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    if not rows:
        click.echo("Nothing here has versions yet.")
        return
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    for row in (head, *rows):
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _cells(cells: Sequence[Mapping[str, Any]]) -> list[str]:
    """Changed cells of a notebook, each under a line that says which."""
    lines: list[str] = []
    for cell in cells:
        number = cell.get("b") if cell.get("b") is not None else cell.get("a")
        lines.append(f"@@ {cell['change']} {cell['type']} cell {number} @@")
        for part in ("source", "outputs"):
            if cell.get(part):
                lines += [f"@@ {part}", *(line for line in str(cell[part]).splitlines() if line[:4] not in _FILE_HEADS)]
    return lines
