"""`devplatform audit`: who did what, from the audit's files of this machine."""

import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from ..core.errors import PublicError
from ..servicekit.audit import AUDIT_FILE_VARIABLE
from ..servicekit.audit_log import Follower, pages
from ..servicekit.audit_query import Event, Query, parse_moment
from .audit_table import heading, row
from .options import data_option
from .state import DataFolder

_NOTHING_FOUND = 3
_FOLLOW_SECONDS = 0.5


class Moment(click.ParamType[datetime]):
    """`2h`, or a date."""

    name = "when"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            return parse_moment(str(value), datetime.now(UTC))
        except PublicError as error:
            self.fail(f"{error.message} {error.hint}", param, ctx)


@click.command()
@data_option("The folder of the platform, whose logs/audit.jsonl is read unless $DEVPLATFORM_AUDIT_FILE names another.")
@click.option("--actor", default="", metavar="NAME", help="Who did it.")
@click.option("--target", default="", metavar="NAME", help="Whom or what it was done to: alice, or alice/SERVER.")
@click.option("--action", default="", metavar="ACTION", help="What: person.sign-in, or person for all that begin so.")
@click.option("--outcome", type=click.Choice(["allowed", "refused", "failed"]), help="How it went.")
@click.option("--why", default="", metavar="TEXT", help="Any part of the reason.")
@click.option("--since", type=Moment(), help="Not before: 30m, 2h or 7d ago, or 2026-11-25 or 2026-11-25T14:30.")
@click.option("--until", type=Moment(), help="Before then.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, help="The newest so many.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, as in audit.schema.json.")
@click.option("--follow", is_flag=True, help="Go on with what is written from now on, until Ctrl-C.")
@click.pass_context
def audit(ctx: click.Context, /, data: Path, as_json: bool, follow: bool, limit: int, **asked: Any) -> None:
    """Show who did what: sign-ins, changes of groups and roles, servers, versions, and what administrators did.

    The newest events are at the end. Exit status: 0 when there are some, 3 when there is none, 1 when the audit
    cannot be read, 2 for an option that cannot be understood.
    """
    query = Query(
        actor=asked["actor"],
        target=asked["target"],
        action=asked["action"],
        outcome=asked["outcome"] or "",
        text=asked["why"],
        since=asked["since"],
        until=asked["until"],
    )
    file = _file_of(ctx, data)
    show = _shown_as(as_json)
    try:
        with closing(Follower(file)) as follower:
            found = _show_newest(file, query, limit, follower.cursor if follow else "", show)
            if follow:
                _follow(follower, query, show)
        sys.stdout.flush()
    except BrokenPipeError:  # such as `devplatform audit | head`: nobody reads on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        found = 1
    except FileNotFoundError:
        found = 0
    if not found and not follow:
        ctx.exit(_NOTHING_FOUND)


def _file_of(ctx: click.Context, data: Path) -> Path:
    named = os.environ.get(AUDIT_FILE_VARIABLE)
    is_given = ctx.get_parameter_source("data") is ParameterSource.COMMANDLINE
    file = DataFolder(data.absolute()).logs / "audit.jsonl" if is_given or not named else Path(named).absolute()
    if not file.parent.is_dir():
        raise PublicError(
            f"There is no audit at {file}.",
            code="audit-none",
            hint="--data names the folder of the platform; on a cluster the audit is in the log of the hub's pod.",
        )
    return file


def _shown_as(as_json: bool) -> Callable[[Event], str]:
    if as_json:
        return lambda event: json.dumps(event, ensure_ascii=True)
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    return lambda event: row(event, width=width)


def _show_newest(file: Path, query: Query, limit: int, cursor: str, show: Callable[[Event], str]) -> int:
    """Print the newest events in the order in which they happened; how many there were."""
    events: list[Event] = []
    unreadable = 0
    for page in pages(file, query, limit=limit, cursor=cursor):
        events += page.events
        unreadable += page.unreadable
    if unreadable:
        click.echo(f"{unreadable} lines cannot be read, and were left out.", err=True)
    if events and sys.stdout.isatty():
        click.echo(heading())
    for event in reversed(events):
        click.echo(show(event))
    return len(events)


def _follow(follower: Follower, query: Query, show: Callable[[Event], str]) -> None:
    try:
        while True:
            for event in follower.poll():
                if query.matches(event):
                    click.echo(show(event))
            time.sleep(_FOLLOW_SECONDS)
    except KeyboardInterrupt:
        return
