"""The double as a process of its own, told what to do over HTTP; and what it makes of nonsense."""

import random
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote, urlencode

import requests
from multidict import CIMultiDict

from tests.doubles.gcs import GcsServer
from tests.doubles.gcs.calls import Call, query_of, segments_of
from tests.doubles.gcs.iam import LIST_PREFIX
from tests.doubles.gcs.store import Place

from .gcs_kit import BUCKET

ROOT = Path(__file__).parents[2]


def test_a_process_of_its_own(tmp_path: Path) -> None:
    """It prints its address, serves what it was filled with, and ends when told to."""
    command = [sys.executable, "-m", "tests.doubles.gcs", "--bucket", BUCKET, "--plain", "plain"]
    command += ["--fill", f"{BUCKET}:30:4:users/alice/"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", url)
        listed = requests.get(f"{url}/storage/v1/b/{BUCKET}/o?versions=true&prefix=users/alice/", timeout=10).json()
        assert len(listed["items"]) == 120
        assert "versioning" not in requests.get(f"{url}/storage/v1/b/plain", timeout=10).json()
    finally:
        process.terminate()
        assert process.wait(10) == 0
        process.stdout.close()


NAMES = ["users/alice/f", "users/alice/d/g", "users/alice2/f", "users/bob/f", "f", "users/alice/../bob/f", ""]
PARAMETERS = {
    "generation": ["0", "7", "x", "-1"],
    "sourceGeneration": ["0", "7"],
    "ifGenerationMatch": ["0", "7", ""],
    "ifSourceGenerationMatch": ["0"],
    "prefix": NAMES,
    "delimiter": ["/", "alice"],
    "versions": ["true", "no"],
    "softDeleted": ["true"],
    "pageToken": ["", "x", "WyJmIiwwXQ=="],
    "maxResults": ["0", "1", "9999999"],
    "matchGlob": ["**", "[", "{a,b}"],
    "fields": ["items(name", "*", "name"],
    "uploadType": ["media", "multipart", "resumable", "none"],
    "name": NAMES,
    "upload_id": ["x"],
    "uploads": [""],
    "uploadId": ["x"],
    "partNumber": ["1"],
    "alt": ["media"],
    "maxBytesRewrittenPerCall": ["1048576", "1"],
    "rewriteToken": ["x"],
    "X-Goog-Signature": ["00", "zz"],
}
PATTERNS = [
    "/storage/v1/b/{b}/o",
    "/storage/v1/b/{b}/o/{o}",
    "/storage/v1/b/{b}/o/{o}/copyTo/b/{b}/o/{o}",
    "/storage/v1/b/{b}/o/{o}/rewriteTo/b/{b}/o/{o}",
    "/storage/v1/b/{b}/o/{o}/moveTo/o/{o}",
    "/storage/v1/b/{b}/o/{o}/compose",
    "/storage/v1/b/{b}/o/{o}/restore",
    "/upload/storage/v1/b/{b}/o",
    "/storage/v1/b/{b}",
    "/storage/v1/b/{b}/iam",
    "/storage/v1/b/{b}/managedFolders/{o}",
    "/storage/v1/b",
    "/{b}/{o}",
    "/token",
    "/v1/projects/-/serviceAccounts/x:signBlob",
    "/batch/storage/v1",
]
BODIES = [
    b"",
    b"[]",
    b"{",
    b"\xff",
    b'{"metadata":{"a":"b"}}',
    b'{"metadata":[1],"contentType":{}}',
    b'{"sourceObjects":[{"name":"users/bob/f"},{}]}',
    b'{"sourceObjects":7}',
    b'{"sourceObjects":null,"destination":null,"metadata":null,"contentType":null,"bindings":null}',
    b'{"lifecycle":null,"softDeletePolicy":null,"iamConfiguration":null,"versioning":null,"labels":null}',
    b'{"name":7,"storageClass":[]}',
    b'{"bindings":[7],"lifecycle":7,"versioning":[],"softDeletePolicy":"x"}',
    b'{"customTime":"never","temporaryHold":"x"}',
    b"--=\r\n\r\n{}\r\n--=\r\n\r\nx\r\n--=--",
]
HEADERS = {
    "Content-Type": ["multipart/related; boundary==", "text/plain"],
    "Content-Range": ["bytes 0-1/2", "bytes */*", "x"],
    "Range": ["bytes=0-", "bytes=9-1", "bytes=-0"],
    "If-Match": ["x"],
    "x-goog-copy-source": ["x"],
    "x-goog-if-generation-match": ["x", "0"],
    "x-goog-content-length-range": ["1", "0,9"],
    "x-goog-resumable": ["start"],
    "X-Goog-Hash": ["md5=", "crc32c=AAAAAA=="],
}


def _some(dice: random.Random, choices: dict[str, list[str]]) -> dict[str, str]:
    names = dice.sample(list(choices), dice.choice([0, 0, 1, 2, 3]))
    return {name: dice.choice(choices[name]) for name in names}


def _random_call(dice: random.Random, token: str) -> Call:
    """Something that looks like a request."""
    made = dice.choice(PATTERNS)
    while "{" in made:
        made = made.replace("{b}", dice.choice([BUCKET, BUCKET, "none"]), 1)
        made = made.replace("{o}", quote(dice.choice(NAMES), safe=""), 1)
    query = urlencode(
        {name: dice.choice(PARAMETERS[name]) for name in dice.sample(list(PARAMETERS), dice.choice([0, 0, 1, 2, 3]))}
    )
    headers = CIMultiDict(
        {name: dice.choice(HEADERS[name]) for name in dice.sample(list(HEADERS), dice.choice([0, 0, 1, 2]))}
    )
    headers["Authorization"] = f"Bearer {token}"
    method = dice.choice(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])
    raw = f"{made}?{query}"
    return Call(method, raw, segments_of(made), query_of(query), headers, dice.choice(BODIES), "http://double")


def test_twenty_thousand_requests_stay_below_a_prefix() -> None:
    """Whatever somebody asks who may use one prefix: no crash, and nothing outside of it is read, listed or changed."""
    server = GcsServer()
    bucket = server.make_bucket(BUCKET)
    mine = f"resource.name.startsWith('projects/_/buckets/{BUCKET}/objects/users/alice/')"
    listed = f"api.getAttribute('{LIST_PREFIX}', '').startsWith('users/alice/')"
    server.iam.bind("user:alice@example.com", "roles/storage.objectUser", f"{mine} || {listed}")
    token = server.accounts.token("user:alice@example.com")
    dice = random.Random(6)
    answered: dict[int, int] = {}
    for name in filter(None, NAMES):
        server.store.write(Place(bucket, name), name.encode(), {}, None)
    before = {name: list(bucket.versions.get(name, [])) for name in NAMES if not name.startswith("users/alice/")}
    server.iam.enforced = True
    server.log.calls.clear()
    for _ in range(20_000):
        status = server.dispatch.answer(_random_call(dice, token)).status
        answered[status] = answered.get(status, 0) + 1
    done = [entry for entry in server.log.calls if entry.status < 400]
    assert [entry.line for entry in done if entry.outside(BUCKET, "users/alice/")] == []
    assert {name: bucket.versions.get(name, []) for name in before} == before
    assert set(answered) <= {200, 201, 204, 206, 304, 308, 400, 401, 403, 404, 409, 410, 412, 416}, answered
    assert answered[200] > 100
    assert answered[403] > 1000
