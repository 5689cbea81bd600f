"""The `devplatform` command: start and stop the platform on this machine, and the subcommands that packages add."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import entry_points
from importlib.resources import files
from pathlib import Path
from typing import Any

import click

from .. import __version__
from ..core.errors import PublicError
from ..core.profiles_yaml import ProfilesError, parse_profiles
from . import platform
from .install import Toolbox, check_compiler, default_cache, install_environment, install_program, link_packages
from .state import DataFolder, RunningPlatform, find_running, open_data, write_atomically

_DATA = click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".devplatform"),
    envvar="DEVPLATFORM_DATA",
    show_default=True,
    help="The folder that holds everything this platform knows.",
)
_CACHE = click.option(
    "--cache",
    type=click.Path(file_okay=False, path_type=Path),
    default=default_cache,
    help="Where built tools are kept. [default: $DEVPLATFORM_CACHE, else your cache folder]",
)


class _Commands(click.Group):
    """Own commands, and those that installed packages name under `devplatform.commands`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        named = {point.name for point in entry_points(group="devplatform.commands")}
        return sorted({*super().list_commands(ctx), *named})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        for point in entry_points(group="devplatform.commands", name=cmd_name):
            command: click.Command = point.load()
            return command
        return None

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (PublicError, ProfilesError) as error:
            message, code, hint = _explain(error)
            click.echo(f"{message} {hint}".strip() + f" [{code}]", err=True)
            ctx.exit(1)


def _explain(error: Exception) -> tuple[str, str, str]:
    if isinstance(error, PublicError):
        return error.message, error.code, error.hint
    return str(error), "profiles-invalid", "Nothing was started."


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="devplatform")
def main() -> None:
    """DevPlatform Hub on one machine."""


@main.command()
@_DATA
@_CACHE
@click.option("--port", type=click.IntRange(1, 65535), default=8000, show_default=True, help="The port on 127.0.0.1.")
@click.option("--detach", is_flag=True, help="Return when it answers; stop it with `devplatform down`.")
@click.option("--debug", is_flag=True, help="Write everything into the log.")
def up(data: Path, cache: Path, port: int, detach: bool, debug: bool) -> None:
    """Install what is missing, start the platform and print its address."""
    folder = open_data(data)
    running = find_running(folder)
    if running:
        click.echo(f"It is running already at {running.url} (process {running.pid}).")
        return
    platform.check_port(port)
    _check_profiles(folder)
    toolbox = Toolbox(cache.absolute())
    _install(toolbox)
    click.echo("Starting ...")
    started = time.monotonic()
    running = platform.start(folder, platform.describe(folder, toolbox, port, debug=debug))
    click.echo(f"Ready after {time.monotonic() - started:.1f} s.")
    click.echo(f"\n  Open     {running.url}")
    _show_first_sign_in(folder)
    click.echo(f"  Log      {running.log}\n")
    _install_editor_later(toolbox, folder)
    if not detach:
        _stay(folder, running)


@main.command()
@_DATA
def down(data: Path) -> None:
    """Stop the platform and everything it started."""
    click.echo("Stopping ...")
    click.echo("Stopped." if platform.stop(DataFolder(data.absolute())) else "Nothing was running.")


@main.command()
@_DATA
def status(data: Path) -> None:
    """Say whether the platform runs; exit status 0 when it does."""
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
    import shutil

    if not data.exists():
        click.echo("There is nothing to delete.")
        return
    folder = open_data(data)
    if find_running(folder):
        raise PublicError("The platform is running.", code="still-running", hint="Stop it first: devplatform down.")
    if not yes:
        if not sys.stdin.isatty():
            raise PublicError("There is nobody to ask.", code="confirmation-needed", hint="Add --yes to delete it.")
        click.confirm(f"Delete {folder.root} with everybody's files, versions and runs?", abort=True)
    shutil.rmtree(folder.root)
    click.echo("Deleted.")


@main.command()
@_CACHE
@click.argument("what", type=click.Choice(["vscode", "everything"]))
def install(cache: Path, what: str) -> None:
    """Install VS Code (code-server), or everything, without starting anything."""
    toolbox = Toolbox(cache.absolute())
    if what == "everything":
        _install(toolbox)
    check_compiler()
    install_program(toolbox, "editor", click.echo)
    click.echo("VS Code is installed.")


def _install(toolbox: Toolbox) -> None:
    """The three parts side by side: each waits for the network more than for the processor."""
    with ThreadPoolExecutor() as pool:
        jobs = [pool.submit(install_environment, toolbox, name, click.echo) for name in ("session", "mlflow")]
        jobs.append(pool.submit(install_program, toolbox, "proxy", click.echo))
        for job in jobs:
            job.result()
    link_packages(toolbox.environment("session"))
    link_packages(toolbox.environment("mlflow"))


def _install_editor_later(toolbox: Toolbox, folder: DataFolder) -> None:
    if toolbox.has_program("editor"):
        return
    try:
        check_compiler()
    except PublicError as error:
        click.echo(f"VS Code is not available yet. {error.message} {error.hint}")
        return
    log = folder.logs / "install-vscode.log"
    with log.open("ab") as output:
        subprocess.Popen(
            [sys.executable, "-m", "devplatform_hub.embedded.cli", "install", "--cache", str(toolbox.cache), "vscode"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    click.echo(f"VS Code is being built, which takes a few minutes; everything else works meanwhile. Log: {log}\n")


def _check_profiles(folder: DataFolder) -> None:
    if not folder.profiles_file.exists():
        default = (files("devplatform_hub") / "profiles.yaml").read_text("utf-8")
        write_atomically(folder.profiles_file, default)
    parse_profiles(folder.profiles_file.read_text("utf-8"), str(folder.profiles_file))


def _show_first_sign_in(folder: DataFolder) -> None:
    from .users_cli import ensure_first_admin

    first = ensure_first_admin(folder.root)
    if first:
        click.echo(f"  Sign in  as admin with the one-time code {first}")
        click.echo("           and choose your password there.")


def _stay(folder: DataFolder, running: RunningPlatform) -> None:
    click.echo("Press Ctrl-C to stop it.")
    try:
        while (process := running.process()) is not None:
            process.wait(timeout=None)
    except KeyboardInterrupt:
        click.echo("\nStopping ...")
        platform.stop(folder)
        click.echo("Stopped.")
        return
    raise PublicError("The platform has ended by itself.", code="ended", hint=f"Its log: {running.log}")


if __name__ == "__main__":
    main()
