"""`pip install .` gives the hub, its services and everything they read at run time."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE_ROOTS = (".", "hub-services/versions", "hub-services/culler", "hub-services/mlflow-proxy")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel that the tracked files build, without network."""
    tree = tmp_path_factory.mktemp("tree")
    target = tmp_path_factory.mktemp("wheel")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    archive = subprocess.run(
        ["tar", "-c", "--null", "-T", "-"], cwd=ROOT, input=listed, capture_output=True, check=True
    ).stdout
    subprocess.run(["tar", "-x", "-C", tree], input=archive, check=True)
    build = [sys.executable, "-m", "uv", "build", "--wheel", "--no-build-isolation", "--offline", "--python"]
    subprocess.run([*build, sys.executable, "-o", target, tree], check=True, capture_output=True)
    return zipfile.ZipFile(next(target.glob("*.whl")))


def test_the_wheel_has_every_tracked_file_of_the_packages(wheel: zipfile.ZipFile) -> None:
    """Modules, templates, static files, locks and default profiles: what git tracks is what is installed."""
    expected = set()
    for source in SOURCE_ROOTS:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "."], cwd=ROOT / source, capture_output=True, text=True, check=True
        ).stdout
        expected |= {name for name in listed.split("\0") if name.startswith("devplatform_")}
    names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert names == expected


def test_the_wheel_names_its_entry_points(wheel: zipfile.ZipFile) -> None:
    """The command, the authenticator and the spawners can be named in a jupyterhub_config.py."""
    name = next(name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    text = wheel.read(name).decode()
    for line in (
        "devplatform = devplatform_hub.embedded.cli:main",
        "devplatform-local = devplatform_hub.authenticators.local:LocalAuthenticator",
        "devplatform = devplatform_hub.spawner:DevPlatformSpawner",
        "devplatform-embedded = devplatform_hub.embedded.spawner:EmbeddedSpawner",
        "local = devplatform_versions.local.store:LocalVersionStore",
    ):
        assert line in text


def test_the_licence_travels(wheel: zipfile.ZipFile) -> None:
    """MIT asks for it."""
    assert any(name.endswith("LICENSE") for name in wheel.namelist())
