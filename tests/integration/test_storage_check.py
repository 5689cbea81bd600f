"""`devplatform check storage` as a process of its own, against a bucket with the policy's settings and without."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from devplatform_versions.check_cli import storage
from devplatform_versions.lifecycle import bucket_lifecycle
from tests.doubles.gcs import GcsServer

ACCOUNT = "versions@project.iam.gserviceaccount.com"
SETTINGS: dict[str, Any] = {
    "lifecycle": bucket_lifecycle(),
    "iamConfiguration": {"uniformBucketLevelAccess": {"enabled": True}, "publicAccessPrevention": "enforced"},
    "softDeletePolicy": {"retentionDurationSeconds": "604800"},
    "location": "EUROPE-WEST4",
}


@pytest.fixture
async def gcs(tmp_path: Path) -> AsyncIterator[GcsServer]:
    """A double that the command has a key for."""
    async with GcsServer() as server:
        account = server.accounts.add(ACCOUNT)
        (tmp_path / "key.json").write_text(json.dumps(account.key_file(server.url)))
        server.iam.enforced = True
        yield server


async def checked(gcs: GcsServer, folder: Path, *arguments: str, bucket: str = "workspaces") -> tuple[int, str, str]:
    """Exit status, standard output and standard error."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "from devplatform_versions.check_cli import storage; storage()"),
        *("--bucket", bucket, "--api-root", gcs.url, "--iam-root", gcs.url, *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"GOOGLE_APPLICATION_CREDENTIALS": str(folder / "key.json")},
    )
    output, errors = await process.communicate()
    return process.returncode or 0, output.decode(), errors.decode()


async def test_a_bucket_as_it_should_be(gcs: GcsServer, tmp_path: Path) -> None:
    """Every line is ok, the service's rights too; nothing is written anywhere."""
    gcs.make_bucket("workspaces", **SETTINGS)
    gcs.iam.bind(f"serviceAccount:{ACCOUNT}", "roles/storage.admin")
    status, output, errors = await checked(gcs, tmp_path, "--location", "europe-west4")
    marks = {line.split()[0] for line in output.splitlines()}
    assert (status, marks) == (0, {"ok"}), output + errors
    assert {entry.method.rpartition(".")[2] for entry in gcs.log.calls if entry.method.startswith("storage.")} <= {
        "get",
        "list",
    }


async def test_what_is_missing_is_named(gcs: GcsServer, tmp_path: Path) -> None:
    """A plain bucket, for a script: by what each line is about."""
    gcs.make_bucket("workspaces", versioned=False)
    gcs.iam.bind(f"serviceAccount:{ACCOUNT}", "roles/storage.admin")
    status, output, errors = await checked(gcs, tmp_path, "--json")
    missing = {entry["step"]: entry["missing"] for entry in json.loads(output) if not entry["works"]}
    assert status == 3, errors
    assert (missing["Object Versioning"], missing["no public access"]) == (
        "Object Versioning",
        "public access prevention",
    )
    assert sum(step.startswith("lifecycle: ") for step in missing) == 5


@pytest.mark.parametrize(
    ("role", "bucket", "words"),
    [
        pytest.param("roles/storage.objectUser", "workspaces", "needs storage.buckets.get", id="settings"),
        pytest.param("roles/storage.admin", "elsewhere", "needs a bucket named elsewhere", id="bucket"),
        pytest.param("", "workspaces", "needs storage.objects.list", id="objects"),
    ],
)
async def test_rights_that_are_missing(gcs: GcsServer, tmp_path: Path, role: str, bucket: str, words: str) -> None:
    """By Google's name of the permission; a refusal is no traceback."""
    gcs.make_bucket("workspaces", **SETTINGS)
    if role:
        gcs.iam.bind(f"serviceAccount:{ACCOUNT}", role)
    status, output, errors = await checked(gcs, tmp_path, bucket=bucket)
    assert (status, words in output, "Traceback" in errors) == (3, True, False), output + errors


async def test_without_an_identity(gcs: GcsServer, tmp_path: Path) -> None:
    """One line, and nothing else is tried."""
    (tmp_path / "key.json").unlink()
    status, output, _ = await checked(gcs, tmp_path)
    assert (status, output.splitlines()[:2]) == (3, ["missing  credentials", "         needs a token of Google"])
    assert gcs.log.calls == []


def test_the_rules_can_be_had() -> None:
    """For `gcloud storage buckets update --lifecycle-file`."""
    result = CliRunner().invoke(storage, ["--bucket", "b", "--lifecycle"])
    assert json.loads(result.output) == bucket_lifecycle()
