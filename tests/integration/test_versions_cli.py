"""`devplatform versions` as a person types it in a terminal of a session, against the real agent and service."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.capture_lab import Lab, capture_lab


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A workspace with three versions of d/a.txt, a deleted file, and a notebook."""
    with capture_lab(tmp_path_factory.mktemp("cli")) as lab:
        asyncio.run(_fill(lab))
        yield lab


async def _fill(lab: Lab) -> None:
    await lab.watching()
    (lab.workspace / "d").mkdir()
    for text in ("one\n", "two\n", "three\n"):
        (lab.workspace / "d" / "a.txt").write_text(text)
        await lab.settled()
    (lab.workspace / "gone.txt").write_text("gone")
    await lab.settled()
    (lab.workspace / "gone.txt").unlink()
    await lab.settled()


def versions(lab: Lab, *arguments: str, cwd: str = "", **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run the command; nobody is at the keyboard."""
    return subprocess.run(
        [sys.executable, "-m", "devplatform_versions.cli", *arguments],
        cwd=lab.workspace / cwd,
        env=lab.environment | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def test_listing(lab: Lab) -> None:
    """Folders, files with the number of their versions, deleted ones on demand; paths as the shell has them."""
    listed = json.loads(versions(lab, "ls", "--json", "--deleted").stdout)
    assert [(entry["name"], entry["kind"], entry["deleted"]) for entry in listed] == [
        ("d", "folder", False),
        ("gone.txt", "file", True),
    ]
    table = versions(lab, "ls", cwd="d").stdout.splitlines()
    assert (table[0].split(), table[1].split()[-2:]) == (["SAVED", "SIZE", "VERSIONS", "NAME"], ["3", "a.txt"])
    log = json.loads(versions(lab, "log", "a.txt", "--json", cwd="d").stdout)
    assert [(version["live"], version["origin"], version["size"]) for version in log] == [
        (True, "capture", 6),
        (False, "capture", 4),
        (False, "capture", 4),
    ]
    assert "deleted" in versions(lab, "log", "gone.txt").stdout


async def test_the_log_of_a_renamed_file(lab: Lab) -> None:
    """`mv` in the terminal: both names say so, in the table and for programs."""
    (lab.workspace / "m").mkdir()
    for number in range(2):
        (lab.workspace / "m" / "draft.txt").write_text(f"draft {number}\n")
        await lab.settled()
    await asyncio.sleep(2)  # what stands for less is taken for a step of a program
    (lab.workspace / "m" / "draft.txt").rename(lab.workspace / "m" / "final.txt")
    await lab.settled()
    table = versions(lab, "log", "draft.txt", "--all", cwd="m").stdout.splitlines()
    assert ["deleted, renamed to m/final.txt" in line for line in table] == [False, True, False, False]
    (made,) = json.loads(versions(lab, "log", "m/final.txt", "--json").stdout)
    source = json.loads(versions(lab, "log", "m/draft.txt", "--json").stdout)
    assert made["renamed_from"] == {"path": "m/draft.txt", "generation": source[1]["generation"]}
    assert [version["renamed_to"] for version in source] == [
        {"path": "m/final.txt", "generation": made["generation"]},
        None,
        None,
    ]
    assert {version["hidden"] for version in source} == {None}


async def test_comparing_and_getting(lab: Lab) -> None:
    """The last change without arguments, any two by number or name; an old version to a file or a pipe."""
    assert versions(lab, "diff", "d/a.txt").stdout.splitlines()[2:] == ["@@ -1 +1 @@", "-two", "+three"]
    oldest = json.loads(versions(lab, "log", "d/a.txt", "--json").stdout)[-1]
    for wanted in (oldest["generation"], oldest["name"]):
        assert versions(lab, "diff", "d/a.txt", wanted).stdout.splitlines()[3:] == ["-one", "+three"]
    assert versions(lab, "get", "d/a.txt", "--version", oldest["generation"], "-o", "-").stdout == "one\n"
    target = lab.folder / "out.txt"
    assert versions(lab, "get", "d/a.txt", "--at", oldest["created"], "-o", str(target)).returncode == 0
    assert target.read_text() == "one\n"
    again = versions(lab, "get", "d/a.txt", "-o", str(target))
    assert (again.returncode, "file-exists" in again.stderr, target.read_text()) == (1, True, "one\n")
    assert versions(lab, "get", "d/a.txt", "-o", str(target), "--force").returncode == 0
    assert target.read_text() == "three\n"


async def test_restoring(lab: Lab) -> None:
    """Asked first, or told with --yes; the file is there when the command is done; a deleted file needs no option."""
    oldest = json.loads(versions(lab, "log", "d/a.txt", "--json").stdout)[-1]
    refused = versions(lab, "restore", "d/a.txt", "--version", oldest["generation"])
    assert (refused.returncode, "confirmation-needed" in refused.stderr) == (1, True)
    answer = json.loads(
        versions(lab, "restore", "d/a.txt", "--version", oldest["generation"], "--yes", "--json").stdout
    )
    assert (answer["in_workspace"], (lab.workspace / "d" / "a.txt").read_text()) == (True, "one\n")
    assert versions(lab, "restore", "gone.txt", "--yes").returncode == 0
    assert (lab.workspace / "gone.txt").read_text() == "gone"
    # A folder: back to the moment when the third version was made.
    third = json.loads(versions(lab, "log", "d/a.txt", "--json").stdout)[1]
    plan = versions(lab, "restore", "d", "--at", third["created"])
    assert ("restore d/a.txt" in plan.stdout, plan.returncode) == (True, 1)
    done = json.loads(versions(lab, "restore", "d", "--at", third["created"], "--yes", "--json").stdout)
    assert done == {"restored": ["d/a.txt"], "deleted": [], "unchanged": 0, "failed": []}
    await lab.settled()
    assert (lab.workspace / "d" / "a.txt").read_text() == "three\n"


async def test_status(lab: Lab) -> None:
    """Whether capturing goes on, for a person and for a program."""
    body = json.loads(versions(lab, "status", "--json").stdout)
    assert (body["running"], body["state"], body["refused"]) == (True, "watching", {})
    assert "Capturing   watching" in versions(lab, "status").stdout


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        (["log", "none.txt"], 3, "version-not-found"),
        (["get", "d/a.txt", "--version", "1"], 3, "version-not-found"),
        (["get", "d/a.txt", "--at", "2001-01-01"], 3, "version-not-found"),
        (["get", "d/a.txt", "--at", "sometime"], 1, "time-invalid"),
        (["log", "../../etc/passwd"], 1, "outside-workspace"),
        (["log", ".versions/x"], 1, "path-invalid"),
        (["restore", "d"], 1, "time-missing"),
        (["restore", "d/a.txt"], 1, "version-missing"),
        (["ls", "d/a.txt"], 1, "not-a-folder"),
    ],
)
async def test_what_goes_wrong_has_a_code_and_a_status(lab: Lab, arguments: list[str], status: int, code: str) -> None:
    """One sentence, a stable code, an exit status to script with; no traceback."""
    answer = versions(lab, *arguments)
    assert (answer.returncode, f"({code})" in answer.stderr, "Traceback" in answer.stderr) == (status, True, False)
    assert json.loads(versions(lab, *arguments, "--json").stderr)["error"]["code"] == code


async def test_who_may_not_and_what_is_away(lab: Lab) -> None:
    """A token that is not accepted, and a service that is not there."""
    refused = versions(lab, "ls", JUPYTERHUB_API_TOKEN="not-a-token")
    assert (refused.returncode, "not-a-token" in refused.stderr) == (4, False)
    assert versions(lab, "ls", DEVPLATFORM_VERSIONS_URL="http://127.0.0.1:9/services/versions/").returncode == 5


async def test_outside_of_a_session(tmp_path: Path) -> None:
    """Without the session's environment the command says so."""
    answer = subprocess.run(
        [sys.executable, "-m", "devplatform_versions.cli", "ls"],
        cwd=tmp_path, env={}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (answer.returncode, "(no-workspace)" in answer.stderr) == (1, True)
