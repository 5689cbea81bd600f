"""The image that pods of the lab's real node run: Debian, the locked environment of a session, VS Code, this project.

`python -m tests.lab.node_image` (part of `make lab-tools`) builds what is missing by tests/lab/image_recipe.py: two
minutes. It is kept as an image store of containerd, unpacked, in `$DEVPLATFORM_CACHE`, under a key of everything it is
made of: a node starts with a copy of that made of hard links, which takes a second. The project comes on top when a
node starts, as the wheel of this very checkout.
"""

import fcntl
import hashlib
import json
import shutil
import subprocess
import sys
import zipfile
from dataclasses import asdict
from pathlib import Path

from tests.lab import build, containers, image_archive, image_recipe, tools
from tests.lab.image_recipe import CannotBuild

NAME = "localhost/devplatform-session:1"
_WHEEL = ("pyproject.toml", "README.md", "LICENSE", "devplatform_hub", "hub-services")


def missing() -> str:
    """What this machine lacks to build and to run it; empty where it lacks nothing."""
    lacking = [program for program in ("buildah", "debootstrap") if containers.find(program) is None]
    if lacking:
        return f"{' and '.join(lacking)} missing: install them"
    if tools.code_server() is None:
        return f"VS Code is not built: {tools.TOOLS['code-server'][1]}"
    return containers.missing()


def is_built() -> bool:
    """Whether a node can start with it."""
    return (_place() / "base.json").is_file()


def clone(root: Path) -> None:
    """An image store with everything in it, for one node alone: its files are shared, its books are its own."""
    source = _place() / "root"
    linked = subprocess.run(["cp", "--archive", "--link", source, root], capture_output=True, check=False)
    if linked.returncode != 0:  # another file system
        shutil.rmtree(root, ignore_errors=True)
        subprocess.run(["cp", "--archive", "--reflink=auto", source, root], check=True)
    for book in root.glob("*/*.db"):
        content = book.read_bytes()
        book.unlink()
        book.write_bytes(content)


def with_project(folder: Path) -> Path:
    """An archive of the image `NAME`: what `clone` gives, with this checkout's project installed in it."""
    base = image_archive.Image(**json.loads((_place() / "base.json").read_text("utf-8")))
    packages = base.config["config"]["Labels"][image_recipe.PACKAGES]
    with zipfile.ZipFile(_wheel(folder / "wheel")) as wheel:
        wheel.extractall(folder / "project")
    archive = folder / "project.tar"
    layer = image_archive.layer_of(folder / "project", packages)
    image_archive.write(archive, NAME, layer, {}, base)
    for name in ("wheel", "project"):
        shutil.rmtree(folder / name)
    return archive


def _wheel(folder: Path) -> Path:
    """Built from a copy: setuptools would leave folders in the checkout, and take what is no more from them."""
    source = folder / "source"
    source.mkdir(parents=True)
    for name in _WHEEL:
        path = tools.ROOT / name
        if path.is_dir():
            shutil.copytree(path, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "build"))
        else:
            shutil.copy(path, source / name)
    command = [image_recipe.uv(), "build", "--quiet", "--wheel", "--no-build-isolation", "--python", sys.executable]
    image_recipe.run([*command, "--out-dir", str(folder), str(source)], "the wheel of this project")
    return next(folder.glob("*.whl"))


def _place() -> Path:
    """Where it is, or will be: a folder named by everything that it is made of."""
    made_of = f"{image_recipe.key()} {build.path('pause').parent.parent.name}"
    return build.cache() / "node-image" / hashlib.sha256(made_of.encode()).hexdigest()[:12]


def make() -> None:
    """Build it where it is missing. Raises `CannotBuild`."""
    place = _place()
    place.parent.mkdir(parents=True, exist_ok=True)
    with (place.parent / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_built():
            return
        why = missing()
        if why:
            raise CannotBuild(why)
        print("Building the image of the real node ...", flush=True)
        staging = place.with_name(f".{place.name}.new")
        shutil.rmtree(staging, ignore_errors=True)
        shutil.rmtree(place, ignore_errors=True)
        try:
            staging.mkdir()
            base = image_recipe.make(staging)
            (staging / "base.json").write_text(json.dumps(asdict(image_archive.read(base))), "utf-8")
            with containers.Runtime(staging / "run", root=staging / "root") as runtime:
                for archive in (base, _pause(staging)):
                    runtime.import_image(archive)
                    archive.unlink()
            shutil.rmtree(staging / "run")
            staging.rename(place)
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def _pause(folder: Path) -> Path:
    """The archive of the image that holds a pod's namespaces: one static program."""
    program = folder / "pause"
    program.mkdir()
    shutil.copy(build.path("pause"), program)
    archive = folder / "pause.tar"
    layer = image_archive.layer_of(program, "")
    image_archive.write(archive, containers.SANDBOX_IMAGE, layer, {"Entrypoint": ["/pause"]})
    return archive


def main() -> int:
    """Build it; the exit status is 1 when it is missing afterwards."""
    try:
        make()
    except CannotBuild as error:
        print(f"The lab has no real node: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
