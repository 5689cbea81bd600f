"""A person's own Python environment over the shared one: what they install is theirs, and nobody else's.

The overlay is a virtual environment in their home whose packages come first, and which also sees everything of the
environment that their server runs in. pip installs into it and leaves packages outside it alone, so nothing that a
person does changes the shared environment or can keep their server from starting. Runs in the session's interpreter.
"""

import json
import os
import shlex
import shutil
import stat
import sys
import sysconfig
from pathlib import Path

PRIVATE_FOLDER = ".devplatform"
"""In a person's home: what the platform keeps there for them."""


def overlay_folder(home: Path) -> Path:
    """The virtual environment of the person with this home."""
    return home / PRIVATE_FOLDER / "python"


def programs_folder(home: Path) -> Path:
    """Programs that the platform gives this person, such as `devplatform`."""
    return home / PRIVATE_FOLDER / "bin"


def jupyter_folder(home: Path) -> Path:
    """Jupyter's data of the platform for this person: the kernel that runs in the overlay."""
    return home / PRIVATE_FOLDER / "jupyter"


def prepare_overlay(home: Path) -> None:
    """Make or repair the overlay. What it holds already is kept; after an update of Python a new one is begun."""
    folder = overlay_folder(home)
    base = Path(getattr(sys, "_base_executable", sys.executable))
    shared = Path(sysconfig.get_path("purelib"))
    configuration = (
        f"home = {base.parent}\n"
        "include-system-site-packages = false\n"
        f"version = {sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}\n"
        f"executable = {base}\n"
    )
    packages = folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    programs = folder / "bin"
    for path in (packages, programs, programs_folder(home)):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    _link(programs / "python", base)
    for name in ("python3", f"python3.{sys.version_info.minor}"):
        _link(programs / name, Path("python"))
    put(folder / "pyvenv.cfg", configuration)
    # site runs a .pth line that imports; addsitedir reads the shared environment's own .pth files too.
    put(packages / "_shared_environment.pth", f"import site; site.addsitedir({str(shared)!r})\n")
    python = shlex.quote(str(programs / "python"))
    for name in ("pip", "pip3"):
        if not (programs / name).exists():  # a newer pip that the person installed brings its own
            put(programs / name, f'#!/bin/sh\nexec {python} -m pip "$@"\n', 0o700)
    put(programs_folder(home) / "devplatform", _DEVPLATFORM.format(python=shlex.quote(sys.executable)), 0o700)
    _write_kernel(jupyter_folder(home) / "kernels" / "python3", programs / "python")


_DEVPLATFORM = """#!/bin/sh
# The commands of the platform that work inside a server; `devplatform up` and its like belong to the machine.
if [ "$1" = versions ]; then
  shift
  exec {python} -c 'from devplatform_versions.cli import versions; versions(prog_name="devplatform versions")' "$@"
fi
echo "Inside a server there is: devplatform versions --help" >&2
exit 2
"""


def _write_kernel(folder: Path, python: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    kernel = {
        "argv": [str(python), "-Xfrozen_modules=off", "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
        "metadata": {"debugger": True},
    }
    put(folder / "kernel.json", json.dumps(kernel, indent=1) + "\n")
    shared = Path(sys.prefix) / "share" / "jupyter" / "kernels" / "python3"
    for logo in shared.glob("logo-*"):
        if not (folder / logo.name).exists():
            shutil.copyfile(logo, folder / logo.name)


def _link(path: Path, target: Path) -> None:
    if path.is_symlink() and path.readlink() == target:
        return
    path.unlink(missing_ok=True)
    path.symlink_to(target)


def put(path: Path, text: str, mode: int = 0o600) -> None:
    """A private file with this text; one that has it already is left alone, so that a full disk does not matter."""
    content = text.encode("utf-8")
    if _holds(path, content):
        return
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def _holds(path: Path, content: bytes) -> bool:
    """Whether a plain file with this content is there. A person may have put anything in its place, a pipe too."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    with os.fdopen(descriptor, "rb") as stream:
        return stat.S_ISREG(os.fstat(descriptor).st_mode) and stream.read(len(content) + 1) == content
