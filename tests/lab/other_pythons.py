"""`python -m tests.lab.other_pythons`: the unit and contract tests on every other supported Python of this machine.

Looks for 3.12, 3.13 and 3.14 on PATH and under pyenv; an interpreter that is not here is named and left out.
Each gets an environment of its own in the cache, from the same lock file as the development environment.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.lab.tools import ROOT, cache

VERSIONS = ("3.12", "3.13", "3.14")
LOCK = ROOT / "tests" / "locks" / "dev.txt"
TESTS = ("tests/unit", "tests/contracts")


def interpreters() -> dict[str, Path]:
    """Version -> a working interpreter of it."""
    found = {}
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    for version in VERSIONS:
        candidates = [Path(path) for path in [shutil.which(f"python{version}")] if path]
        candidates += sorted(pyenv.glob(f"{version}.*/bin/python"), reverse=True)
        for candidate in candidates:
            result = subprocess.run([candidate, "--version"], capture_output=True, text=True, check=False)
            if result.returncode == 0 and result.stdout.split()[1].startswith(f"{version}."):
                found[version] = candidate
                break
    return found


def environment(version: str, interpreter: Path) -> Path:
    """The interpreter of an environment with the locked packages on this Python."""
    target = cache() / "envs" / f"dev-py{version}-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]}"
    python = target / "bin" / "python"
    if not (target / ".complete").exists():
        uv = [sys.executable, "-m", "uv", "--quiet"]
        subprocess.run([*uv, "venv", "--clear", "--python", interpreter, target], check=True)
        subprocess.run([*uv, "pip", "sync", "--require-hashes", "--python", python, LOCK], check=True)
        install = [*uv, "pip", "install", "--no-deps", "--no-build-isolation", "--python", python, "--editable", ROOT]
        subprocess.run(install, check=True)
        (target / ".complete").touch()
    return python


def main() -> int:
    """Run the tests on each interpreter; 0 when all passed."""
    found = interpreters()
    absent = [version for version in VERSIONS if version not in found]
    if absent:
        print(f"Not on this machine, so not tested: Python {', '.join(absent)}")
    failed = 0
    for version, interpreter in found.items():
        print(f"Python {version}: {' '.join(TESTS)}", flush=True)
        command = [environment(version, interpreter), "-m", "pytest", "-q", *TESTS]
        failed += subprocess.run(command, cwd=ROOT, check=False).returncode != 0
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
