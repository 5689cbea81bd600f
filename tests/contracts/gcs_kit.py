"""What the tests of Cloud Storage's double hold: the double, Google's own client on it, and a plain HTTP session."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import requests
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from tests.doubles.gcs import GcsServer
from tests.doubles.gcs.thread import serving

BUCKET = "workspaces"


class Gcs:
    """One double with a versioned bucket, and its clients."""

    def __init__(self, server: GcsServer) -> None:
        self.server = server
        self.held = server.make_bucket(BUCKET)
        self.http = requests.Session()
        self.client = client_of(server, AnonymousCredentials())
        self.bucket = self.client.bucket(BUCKET)

    def save(self, name: str, *bodies: str, **more: Any) -> list[int]:
        """Upload these contents one after another; their generations."""
        made = []
        for body in bodies:
            blob = self.bucket.blob(name)
            blob.upload_from_string(body, **more)
            made.append(int(blob.generation))
        return made

    def versions(self, prefix: str = "", **more: Any) -> list[storage.Blob]:
        """All generations."""
        return list(self.client.list_blobs(BUCKET, prefix=prefix, versions=True, **more))

    def state(self) -> list[tuple[str, int, int, bool]]:
        """Name, generation, metageneration and whether it is live, of everything in the bucket."""
        return [(name, one.number, one.metageneration, one.deleted is None) for name, one in self.held.all()]

    def call(self, method: str, path: str, *, root: str = "/storage/v1", **more: Any) -> requests.Response:
        """A plain request of the JSON API."""
        return self.http.request(method, f"{self.server.url}{root}{path}", timeout=10, **more)

    def close(self) -> None:
        """Close the connections."""
        self.http.close()
        self.client.close()


def client_of(server: GcsServer, credentials: Any) -> storage.Client:
    """Google's client on the double."""
    client = storage.Client(project="project", credentials=credentials, client_options={"api_endpoint": server.url})
    # Since 3.17 it asks for the bucket after a 404, in a thread that nobody waits for.
    client._bucket_metadata_cache = None
    return client


def path_of(name: str, bucket: str = BUCKET) -> str:
    """An object's path in the JSON API."""
    return f"/b/{bucket}/o/{quote(name, safe='')}"


def names(blobs: Iterator[Any] | list[Any]) -> list[str]:
    """Names, in the order of the listing."""
    return [blob.name for blob in blobs]


def reason(answer: requests.Response) -> tuple[int, str]:
    """Status and reason of a refusal of the JSON API."""
    error: Mapping[str, Any] = answer.json()["error"]
    return answer.status_code, error["errors"][0]["reason"]


@contextmanager
def opened_gcs() -> Iterator[Gcs]:
    """A double of its own."""
    with serving(GcsServer()) as server:
        gcs = Gcs(server)
        try:
            yield gcs
        finally:
            gcs.close()
