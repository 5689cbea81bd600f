"""The pure parts of the store in a bucket: names of objects, what generations mean, signed URLs."""

import datetime as dt
from typing import Any
from urllib.parse import quote

import pytest
from google.cloud.storage._signing import generate_signed_url_v4
from google.oauth2.service_account import Credentials
from hypothesis import given
from hypothesis import strategies as st

from devplatform_hub.core.errors import PublicError
from devplatform_hub.core.workspace import parse_path
from devplatform_versions.gcs.history import history_of, metadata_of, version_of
from devplatform_versions.gcs.names import object_of, path_of, prefix_of
from devplatform_versions.gcs.signing import SignedRequest, signed_url
from devplatform_versions.model import Origin
from tests.doubles.gcs.accounts import Account

SECOND = 1_000_000
NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
START = int(NOON.timestamp()) * SECOND


def moment(seconds: float) -> str:
    return (NOON + dt.timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def resource(begin: float, end: float | None = None, **metadata: str) -> dict[str, Any]:
    """A generation that was made so many seconds after noon, and ended so many."""
    made: dict[str, Any] = {
        "name": "users/alice/f",
        "generation": str(START + int(begin * SECOND)),
        "size": "3",
        "md5Hash": "rL0Y20zC+Fzt72VPzMSk2A==",
        "timeCreated": moment(begin),
        "storageClass": "STANDARD",
    }
    return (
        made | ({"timeDeleted": moment(end)} if end is not None else {}) | ({"metadata": metadata} if metadata else {})
    )


# Names.


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("users/alice/f", "f"),
        ("users/alice/d/f.txt", "d/f.txt"),
        ("users/alice/ \u202e#?%2F", " \u202e#?%2F"),
        ("users/alice/", None),
        ("users/alice/d/", None),
        ("users/alice//f", None),
        ("users/alice/../bob/f", None),
        ("users/alice/./f", None),
        ("users/alice/a\nb", None),
        ("users/alice/.versions/f", None),
        ("users/alice/.devplatform/state.db", None),
        ("users/alice/.devplatformignore", ".devplatformignore"),
        ("users/alice2/f", None),
        ("users/bob/f", None),
        ("other/alice/f", None),
    ],
)
def test_which_file_an_object_is(name: str, path: str | None) -> None:
    """Of the owner's own, and with a name that a file can have."""
    assert path_of("alice", name) == path


@given(owner=st.text(max_size=70), raw=st.text(max_size=60))
def test_no_name_leads_out_of_a_prefix(owner: str, raw: str) -> None:
    """Whatever an owner and a path are, an object is below the owner's own prefix, or there is none."""
    try:
        path = parse_path(raw)
        name = object_of(owner, path)
    except (PublicError, ValueError):
        return
    assert name == f"users/{owner}/{path}"
    assert "/" not in owner
    assert path_of(owner, name) == path
    assert path_of(f"{owner}x", name) is None
    assert len(name.encode()) <= 1024


@pytest.mark.parametrize("owner", ["", "a/b", "..", "Alice", "a.b", "-a", "a-", "a" * 64, "al\nice", "\u0430lice"])
def test_who_has_no_prefix(owner: str) -> None:
    """What is no slug never becomes a part of a name."""
    with pytest.raises(ValueError, match="is no slug"):
        prefix_of(owner)


# What generations mean.


@pytest.mark.parametrize(
    ("resources", "told"),
    [
        pytest.param([resource(0)], ["live 0"], id="live"),
        pytest.param([resource(0, 5), resource(5)], ["live 5", "old 0-5"], id="replaced"),
        pytest.param([resource(0, 4.8), resource(5)], ["live 5", "old 0-4.8"], id="replaced, by clocks that differ"),
        pytest.param([resource(0, 3)], ["deleted 3", "old 0-3"], id="deleted"),
        pytest.param([resource(0, 3), resource(9)], ["live 9", "deleted 3", "old 0-3"], id="deleted and made again"),
        pytest.param(
            [resource(9, 11), resource(0, 3)], ["deleted 11", "old 9-11", "deleted 3", "old 0-3"], id="in any order"
        ),
    ],
)
def test_a_history_has_tombstones(resources: list[dict[str, Any]], told: list[str]) -> None:
    """Where a generation ended and none followed at once; numbers fall, newest first."""
    history = history_of("f", "alice", resources)
    words = []
    for version in history:
        begin = f"{(version.created - NOON).total_seconds():g}"
        end = version.noncurrent_since
        kind = "deleted" if version.tombstone else "live" if version.live else "old"
        words.append(f"{kind} {begin}" + (f"-{(end - NOON).total_seconds():g}" if end else ""))
    assert words == told
    assert [v.generation for v in history] == sorted((v.generation for v in history), reverse=True)


def test_what_gcsfuse_wrote() -> None:
    """Its own note of the time, with nanoseconds; the person is the author; the content is known by MD5."""
    version = version_of("f", "alice", resource(0, gcsfuse_mtime="2026-03-01T11:59:58.123456789Z"))
    assert (version.author, version.origin, version.sha256, version.mtime) == (
        "alice",
        Origin.MOUNT,
        "md5:rL0Y20zC+Fzt72VPzMSk2A==",
        NOON - dt.timedelta(seconds=1, microseconds=876544),
    )


@pytest.mark.parametrize(
    "metadata",
    [
        {"devplatform-mtime": "soon", "devplatform-restored-from": "-1", "devplatform-origin": "elsewhere"},
        {"devplatform-mtime": "9" * 40, "devplatform-restored-from": "\u0664", "gcsfuse_mtime": "yesterday"},
        {"gcsfuse_mtime": "9999-12-31T23:59:59.999999999-23:59"},
    ],
)
def test_metadata_that_somebody_else_wrote(metadata: dict[str, str]) -> None:
    """A person may write any metadata through their own mount: what cannot be meant counts as absent."""
    version = version_of("f", "alice", resource(0, **metadata))
    assert (version.mtime, version.restored_from, version.origin) == (None, None, Origin.MOUNT)


def test_what_we_write_comes_back() -> None:
    """Names with any letters, as headers carry them."""
    mtime = NOON - dt.timedelta(microseconds=7)
    made = metadata_of(
        sha256="ab" * 32, author="Zoë 東 <z@example.com>", origin=Origin.RESTORE, mtime=mtime, restored_from=5
    )
    assert all(value.isascii() for value in made.values())
    version = version_of("f", "alice", resource(0, **made))
    assert (version.sha256, version.author, version.origin, version.mtime, version.restored_from) == (
        "ab" * 32,
        "Zoë 東 <z@example.com>",
        Origin.RESTORE,
        mtime,
        5,
    )


def test_a_note_of_a_deletion_that_failed_counts_for_nothing() -> None:
    """Somebody else deleted the file an hour after our deletion did not happen."""
    note = {"devplatform-ended-by": "ada", "devplatform-ended-origin": "restore"}
    ours = resource(0, 3, **note, **{"devplatform-ended-at": str(START + 3 * SECOND)})
    stale = resource(0, 3600, **note, **{"devplatform-ended-at": str(START + 3 * SECOND)})
    told = [(v.author, v.origin) for r in (ours, stale) for v in history_of("f", "alice", [r]) if v.tombstone]
    assert told == [("ada", Origin.RESTORE), ("alice", Origin.MOUNT)]


# Signed URLs.


@pytest.mark.parametrize("name", ["users/alice/f", "users/alice/a b/#?%2F+&=~\u20ac\u202e.txt", "users/alice/'()*!"])
async def test_urls_are_signed_as_google_signs_them(name: str) -> None:
    """Letter by letter what Google's own library makes of the same request and key."""
    account = Account("versions@project.iam.gserviceaccount.com")
    headers = {"x-goog-if-generation-match": "0", "Content-Type": "text/plain", "x-goog-meta-a": " two  words "}

    async def sign(text: bytes) -> bytes:
        return account.sign(text)

    request = SignedRequest("PUT", "workspaces", name, headers, 900, {"generation": "5"})
    url = await signed_url(request, "https://storage.googleapis.com", account.email, NOON, sign)
    credentials = Credentials.from_service_account_info(account.key_file("https://oauth2.googleapis.com"))
    peers = generate_signed_url_v4(
        credentials,
        resource=f"/workspaces/{quote(name, safe='/~')}",
        expiration=dt.timedelta(seconds=900),
        method="PUT",
        headers=headers,
        query_parameters={"generation": "5"},
        _request_timestamp="20260301T120000Z",
    )
    assert dict(_parts(url)) == dict(_parts(peers))


def _parts(url: str) -> list[tuple[str, str]]:
    head, _, query = url.partition("?")
    return [("", head), *(tuple(part.split("=", 1)) for part in query.split("&"))]  # type: ignore[list-item]
