"""Debian's containerd and runc, closed in: they run in mount and process namespaces of their own.

    with Runtime(folder, root=folder / "root") as runtime:
        runtime.import_image(Path("image.tar"))
        kubelet = runtime.inside([path, "--config", ...])        # a command line that runs beside containerd

When the first process of the namespaces ends, however that comes about, the kernel ends every other one and takes
away every mount with them: shims, containers, their file systems and their network namespaces. /run and /var/log are
empty in there, and nothing of the machine's own containers is seen or touched.
"""

import os
import select
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from tests.lab.control_plane import own_environment
from tests.lab.process import Process

PROGRAMS = ("containerd", "ctr", "runc", "unshare", "nsenter", "mount", "ip")
PACKAGES = "containerd, runc, containernetworking-plugins, iproute2"
SANDBOX_IMAGE = "localhost/pause:1"
NETWORK_STATE = Path("/var/lib/cni")
_PRIVATE = (Path("/run"), Path("/var/log"))
# The kubelet sets these, and takes them as they are where they are so already: it is shown files of ours instead, so
# that the machine keeps its own.
_KERNEL = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}
_CONFIG = """\
version = 2
root = "{root}"
state = "/run/containerd"
disabled_plugins = ["io.containerd.internal.v1.opt"]
[grpc]
address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{sandbox}"
# Without CAP_SYS_RESOURCE a sandbox may not lower its score, and no container would start.
restrict_oom_score_adj = true
disable_hugetlb_controller = true
stream_server_address = "127.0.0.1"
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
default_runtime_name = "runc"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
BinaryName = "{runc}"
SystemdCgroup = false
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{plugins}"
conf_dir = "{network}"
"""


def find(program: str) -> str | None:
    """A program of the machine, also one of those that only root's PATH has."""
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")


def network_plugins() -> Path | None:
    """Where the CNI plugins are: Debian's place, or the one that others use."""
    folders = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))
    return next((folder for folder in folders if (folder / "bridge").is_file()), None)


def missing() -> str:
    """What a machine lacks to run containers, in a sentence; empty where it lacks nothing."""
    if os.geteuid() != 0:
        return "only root can run containers"
    lacking = [program for program in PROGRAMS if find(program) is None]
    if network_plugins() is None:
        lacking.append("the CNI plugins")
    return f"{', '.join(lacking)} missing: install {PACKAGES}" if lacking else ""


class Runtime:
    """containerd with this `root`, its image store; `network` is the folder of its CNI configuration, for pods."""

    def __init__(self, folder: Path, root: Path, network: Path | None = None) -> None:
        self.folder = folder
        self.root = root
        self._network = network
        self._room = Process("namespaces", ["false"], folder, own_environment())
        self._processes: list[Process] = []
        self._first = 0

    def start(self) -> None:
        """Ready means: containerd answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._open_namespaces()
        config = self.folder / "containerd.toml"
        config.write_text(
            _CONFIG.format(
                root=self.root,
                sandbox=SANDBOX_IMAGE,
                runc=find("runc"),
                plugins=network_plugins(),
                network=self._network or self.folder,
            ),
            "utf-8",
        )
        containerd = self.run("containerd", [str(find("containerd")), "--config", str(config)])
        containerd.wait_until(lambda: self._ctr("version").returncode == 0, 30)

    def stop(self) -> None:
        """End everything in the namespaces, and wait until nothing of it runs."""
        watch = -1
        try:
            if self._first:
                watch = os.pidfd_open(self._first)
        except ProcessLookupError:
            pass
        self._room.kill()
        for process in self._processes:
            process.kill()
        if watch >= 0:
            select.select([watch], [], [], 30)
            os.close(watch)
        self._first = 0

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def inside(self, command: Sequence[str]) -> list[str]:
        """This command line, run in the namespaces."""
        return [str(find("nsenter")), "--target", str(self._first), "--mount", "--pid", "--", *command]

    def run(self, name: str, command: Sequence[str], env: Mapping[str, str] | None = None) -> Process:
        """Start a program in the namespaces, which ends with them; its log is `<name>.log` in the folder."""
        path = f"{own_environment().get('PATH', '')}:/usr/sbin:/sbin"
        process = Process(name, self.inside(command), self.folder, own_environment() | {"PATH": path} | dict(env or {}))
        self._processes.append(process)
        process.start()
        return process

    def import_image(self, archive: Path) -> None:
        """Put the images of a docker or OCI archive into the store, unpacked, so that pods can use them."""
        done = self._ctr("images", "import", str(archive))
        assert done.returncode == 0, done.stderr

    def images(self) -> list[str]:
        """The names in the store."""
        return self._ctr("images", "list", "--quiet").stdout.split()

    def _ctr(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        command = self.inside([str(find("ctr")), "--namespace", "k8s.io", *arguments])
        return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=own_environment())

    def _open_namespaces(self) -> None:
        """A first process that waits for ever, in a room with private folders."""
        shown = self.folder / "kernel"
        ready = self.folder / "room.ready"
        ready.unlink(missing_ok=True)
        lines = ["set -e", "mount --make-rprivate /"]
        for name, value in _KERNEL.items():
            file = shown / name.replace("/", "-")
            file.parent.mkdir(exist_ok=True)
            file.write_text(f"{value}\n", "ascii")
            lines.append(f"mount --bind '{file}' /proc/sys/{name}")
        private = [*_PRIVATE, NETWORK_STATE] if self._network else _PRIVATE
        lines += [f"mkdir -p {path} && mount -t tmpfs tmpfs {path}" for path in private]
        # Mounts in a pod's folder are seen by what runs beside it; orphans are reaped by nobody's help.
        lines += ["mount --make-rshared /", f"touch '{ready}'", "trap '' CHLD", "exec sleep infinity"]
        unshare = [str(find("unshare")), "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        self._room = Process("namespaces", [*unshare, "sh", "-c", "\n".join(lines)], self.folder, own_environment())
        self._room.start()
        self._room.wait_until(ready.exists, 10)
        children = Path(f"/proc/{self._room.pid}/task/{self._room.pid}/children")
        self._first = int(children.read_text("ascii").split()[0])


def wait_gone(path: Path, within: float = 10) -> None:
    """Remove an empty folder that the kernel may hold a moment longer."""
    deadline = time.monotonic() + within
    while path.exists():
        try:
            path.rmdir()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
