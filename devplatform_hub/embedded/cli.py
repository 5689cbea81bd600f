"""The `devplatform` command: start and stop the platform on this machine, and the subcommands that packages add."""

import errno
import importlib
import shutil
import sys
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, cast

import click

from .. import __version__
from ..core.errors import PublicError
from ..core.profiles_yaml import ProfilesError
from . import bring_up, platform
from .install import Toolbox, check_compiler, default_cache, install_program
from .options import data_option, parse_settings, settings_option
from .progress import Progress
from .state import DataFolder, find_running, open_data

_IN_OTHER_MODULES: Mapping[str, str] = {
    "user": "devplatform_hub.embedded.users_cli:user",
    "explain": "devplatform_hub.embedded.auth_cli:explain",
    "check": "devplatform_hub.embedded.auth_cli:check",
    "audit": "devplatform_hub.embedded.audit_cli:audit",
}
_DATA = data_option()
_CACHE = click.option(
    "--cache",
    type=click.Path(path_type=Path),
    default=default_cache,
    help="Where built tools are kept. [default: $DEVPLATFORM_CACHE, else your cache folder]",
)


class Commands(click.Group):
    """Own commands, and those that installed packages name under `devplatform.commands`. An expected error is one
    sentence with what to do about it and exit status 1, never a traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        named = {point.name for point in entry_points(group="devplatform.commands")}
        return sorted({*super().list_commands(ctx), *_IN_OTHER_MODULES, *named})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        if cmd_name in _IN_OTHER_MODULES:
            module, _, attribute = _IN_OTHER_MODULES[cmd_name].partition(":")
            return cast(click.Command, getattr(importlib.import_module(module), attribute))
        for point in entry_points(group="devplatform.commands", name=cmd_name):
            return cast(click.Command, point.load())
        return None

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except PublicError as error:
            _fail(ctx, f"{error.message} {error.hint}".strip(), error.code)
        except ProfilesError as error:
            _fail(ctx, str(error), "profiles-invalid")
        except OSError as error:
            if error.errno == errno.ENOSPC:
                _fail(ctx, "The disk is full. Free some space and run it again. Nothing was lost.", "disk-full")
            _fail(ctx, f"{error.strerror or error}: {error.filename or 'the operating system'}.", "system-refused")


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="devplatform")
def main() -> None:
    """DevPlatform Hub on one machine."""


@main.command()
@_DATA
@_CACHE
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="The port on 127.0.0.1; 0 takes one that is free.",
)
@click.option("--detach", is_flag=True, help="Return when it answers; stop it with `devplatform down`.")
@click.option(
    "--session-python",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The Python of an environment of your own for people's servers, in place of the one that is installed.",
)
@settings_option
@click.option("--debug", is_flag=True, help="Write everything into the log.")
def up(
    data: Path,
    cache: Path,
    port: int,
    detach: bool,
    session_python: Path | None,
    settings: tuple[str, ...],
    debug: bool,
) -> None:
    """Install what is missing, start the platform and print its address. Ctrl-C stops it."""
    traits = parse_settings(settings)
    folder = open_data(data)
    toolbox = Toolbox(cache.absolute())
    bring_up.up(folder, toolbox, port, detach=detach, session_python=session_python, settings=traits, debug=debug)


@main.command()
@_DATA
def down(data: Path) -> None:
    """Stop the platform and everything it started."""
    folder = DataFolder(data.absolute())
    click.echo("Stopping ...")
    click.echo("Stopped." if platform.stop(folder) else "Nothing was running.")


@main.command()
@_DATA
def status(data: Path) -> None:
    """Say whether the platform runs; exit status 0 when it does, 3 when it does not."""
    running = find_running(DataFolder(data.absolute()))
    if running is None:
        click.echo("Not running.")
        sys.exit(3)  # as `systemctl status` does for a unit that is not active
    click.echo(f"Running at {running.url} (process {running.pid}). Log: {running.log}")


@main.command()
@_DATA
@click.option("--yes", is_flag=True, help="Do not ask.")
def reset(data: Path, yes: bool) -> None:
    """Delete the data folder: people, files, versions and runs."""
    if not data.exists():
        click.echo("There is nothing to delete.")
        return
    folder = open_data(data)
    if find_running(folder):
        raise PublicError("The platform is running.", code="still-running", hint="Stop it first: devplatform down.")
    if not yes:
        if not sys.stdin.isatty():
            raise PublicError("There is nobody to ask.", code="confirmation-needed", hint="Add --yes to delete it.")
        if not click.confirm(f"Delete {folder.root} with everybody's files, versions and runs?"):
            click.echo("Nothing was deleted.")
            return
    platform.stop(folder)  # what a killed hub left behind
    shutil.rmtree(folder.root)
    click.echo("Deleted.")


@main.command()
@_CACHE
@click.argument("what", type=click.Choice(["vscode", "everything"]))
def install(cache: Path, what: str) -> None:
    """Install VS Code (code-server), or everything, without starting anything."""
    toolbox = Toolbox(cache.absolute())
    progress = Progress()
    if what == "everything":
        bring_up.install_parts(toolbox, progress)
    check_compiler()
    install_program(toolbox, "editor", progress)
    click.echo("VS Code is installed.")


def _fail(ctx: click.Context, sentence: str, code: str) -> None:
    click.echo(f"{sentence} [{code}]", err=True)
    ctx.exit(1)


if __name__ == "__main__":
    main()
