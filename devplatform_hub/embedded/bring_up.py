"""`devplatform up`, step by step: look at what there is, install what is missing, start, say where, stay until told."""

import signal
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path
from types import FrameType
from typing import Any

import click
import psutil

from ..atomic_files import write_atomically
from ..config import Machine
from ..core.errors import PublicError
from ..core.profiles_yaml import parse_profiles
from . import leftovers, platform
from .install import (
    Toolbox,
    check_compiler,
    clean_environment,
    install_environment,
    install_program,
    link_packages,
)
from .progress import Progress
from .state import DataFolder, RunningPlatform, find_running, starting

_SERVICES_TIMEOUT = 30.0


def up(
    folder: DataFolder,
    toolbox: Toolbox,
    port: int,
    *,
    detach: bool,
    session_python: Path | None,
    settings: Mapping[str, Mapping[str, Any]],
    debug: bool,
) -> None:
    """Start the platform and, unless `detach`, stay until Ctrl-C, a signal or its end. Raises `PublicError`."""
    for number in (signal.SIGTERM, signal.SIGHUP):  # a closed terminal stops it just as Ctrl-C does
        if signal.getsignal(number) is not signal.SIG_IGN:  # `nohup` asked to outlive the terminal
            signal.signal(number, _interrupt)
    progress = Progress()
    try:
        with starting(folder):
            running = find_running(folder)
            if running:
                click.echo(f"It is running already at {running.url} (process {running.pid}).")
                return
            _prepare(folder, port)
            install_parts(toolbox, progress, session=session_python is None)
            machine = platform.describe(
                folder, toolbox, port, session_python=session_python, settings=settings, debug=debug
            )
            with progress.step("Starting"):
                running = platform.start(folder, machine)
    except KeyboardInterrupt:
        click.echo("\nNothing was started.")
        sys.exit(130)
    try:
        _show(folder, running, machine)
        _tell_of_services(machine, progress)
        builder = _install_editor_meanwhile(toolbox, folder)
        if not detach:
            _stay(folder, running, builder)
    except KeyboardInterrupt:
        click.echo("\nStopping ...")
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # it is stopping as fast as it may
        platform.stop(folder)
        click.echo("Stopped.")


def install_parts(toolbox: Toolbox, progress: Progress, *, session: bool = True) -> None:
    """What the platform cannot start without, side by side. Raises `PublicError`."""
    with ThreadPoolExecutor() as pool:
        jobs = [pool.submit(install_program, toolbox, "proxy", progress)]
        jobs += [
            pool.submit(install_environment, toolbox, name, progress)
            for name in (["session"] if session else []) + ["mlflow"]
        ]
        for job in jobs:
            job.result()
    if session:
        link_packages(toolbox.environment("session"))


def _prepare(folder: DataFolder, port: int) -> None:
    """Everything that can be wrong and is cheap to see, before anything slow."""
    ended = platform.end_leftovers(folder)
    if ended:
        click.echo(f"Ended {ended} processes that an earlier platform left behind.")
    if port:
        platform.check_port(port)
    platform.check_database(folder)
    profiles = folder.profiles_file
    if not profiles.exists():
        write_atomically(profiles, (files("devplatform_hub") / "profiles.yaml").read_text("utf-8"))
    try:
        text = profiles.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise PublicError(
            f"{profiles} is not UTF-8 text (byte {error.start}).",
            code="profiles-invalid",
            hint="Save it as UTF-8. Nothing was started.",
        ) from None
    parse_profiles(text, str(profiles))


def _show(folder: DataFolder, running: RunningPlatform, machine: Machine) -> None:
    click.echo(f"\n  Open     {running.url}")
    if machine.signs_in_elsewhere:
        click.echo("  Sign in  with an account of your identity provider.")
    else:
        _show_first_admin(folder)
    click.echo(f"  Data     {folder.root}\n  Log      {running.log}\n")


def _show_first_admin(folder: DataFolder) -> None:
    from .users_cli import ensure_first_admin  # argon2 is loaded only here

    code = ensure_first_admin(folder.root)
    if code:
        click.echo(f"  Sign in  as admin with the one-time code {code}\n           and choose your password there.")


def _tell_of_services(machine: Machine, progress: Progress) -> None:
    with progress.step("Loading file versions and MLflow"):
        missing = platform.wait_for_services(machine, _SERVICES_TIMEOUT)
    for title in missing:
        click.echo(f"{title} does not answer yet; the log says why. It is tried again and again.")


def _install_editor_meanwhile(toolbox: Toolbox, folder: DataFolder) -> "subprocess.Popen[bytes] | None":
    if toolbox.has_program("editor"):
        return None
    try:
        check_compiler()
    except PublicError as error:
        click.echo(f"VS Code is not available. {error.message} {error.hint}\n")
        return None
    log = folder.logs / "install-vscode.log"
    with log.open("ab") as output:
        builder = subprocess.Popen(
            [sys.executable, "-m", "devplatform_hub.embedded.cli", "install", "--cache", str(toolbox.cache), "vscode"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=clean_environment() | {leftovers.MARK: str(folder.machine_file)},
            start_new_session=True,
        )
    click.echo(f"VS Code is being built, which takes a few minutes; everything else works meanwhile. Log: {log}\n")
    return builder


def _stay(folder: DataFolder, running: RunningPlatform, builder: "subprocess.Popen[bytes] | None") -> None:
    click.echo("Press Ctrl-C to stop it.")
    while (process := running.process()) is not None:
        try:
            process.wait(timeout=5 if builder else None)
        except psutil.TimeoutExpired:
            builder = _tell_when_built(builder)
    if not folder.process_file.exists():  # `devplatform down` elsewhere
        click.echo("Stopped.")
        return
    platform.stop(folder)
    raise PublicError("The platform has ended by itself.", code="ended", hint=f"Its log: {running.log}")


def _tell_when_built(builder: "subprocess.Popen[bytes] | None") -> "subprocess.Popen[bytes] | None":
    if builder is None or builder.poll() is None:
        return builder
    if builder.returncode == 0:
        click.echo("VS Code is ready.")
    elif builder.returncode > 0:
        click.echo("VS Code could not be built; see the log. Try again with: devplatform install vscode")
    return None


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
