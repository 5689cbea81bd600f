"""Google's directory in a process of its own, and the two ways to ask it: ours and GoogleOAuthenticator's.

oauthenticator 17.4 has the address of the Admin SDK in its code; `Stock` changes that address and nothing else.
"""

import asyncio
import multiprocessing
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from unittest import mock

from oauthenticator.google import GoogleOAuthenticator

from devplatform_hub.directory.google import GoogleGroupDirectory
from tests.contracts.group_directories import google_directory
from tests.doubles.google_server import ADMIN, GoogleServer

Populate = Callable[[GoogleServer], None]


class Double:
    """The server in the other process."""

    def __init__(self, url: str, key_file: Path, pipe: "Connection[Any, Any]") -> None:
        self.url, self.key_file, self._pipe = url, key_file, pipe

    def counted(self) -> Mapping[str, int]:
        """The calls since the last time."""
        self._pipe.send("count")
        found: Mapping[str, int] = self._pipe.recv()
        return found


@contextmanager
def double(populate: Populate, delay: float) -> Iterator[Double]:
    """A running server; the program has an identity of its own and, for stock, a key file."""
    here, there = multiprocessing.Pipe()
    with tempfile.TemporaryDirectory(prefix="bench-directory-") as name:
        folder = Path(name)
        process = multiprocessing.get_context("spawn").Process(target=_serve, args=(there, folder, populate, delay))
        process.start()
        try:
            url = here.recv()
            environment = {"GOOGLE_APPLICATION_CREDENTIALS": str(folder / "adc.json")}
            with mock.patch.dict(os.environ, environment):
                yield Double(url, folder / "key.json", here)
        finally:
            here.send("stop")
            process.join(10)
            process.kill()


def _serve(pipe: "Connection[Any, Any]", folder: Path, populate: Populate, delay: float) -> None:
    async def run() -> None:
        async with GoogleServer() as server:
            populate(server)
            server.delay = delay
            server.credentials_file(folder)
            key = server.key_file(folder)
            key.write_text(key.read_text().replace("https://oauth2.googleapis.com/token", f"{server.url}/token"))
            pipe.send(server.url)
            while await asyncio.to_thread(pipe.recv) == "count":
                pipe.send(dict(server.calls))
                server.calls.clear()

    asyncio.run(run())


class Stock(GoogleOAuthenticator):
    """GoogleOAuthenticator with nested groups, its Admin SDK at the double's address."""

    double_url = ""

    async def httpfetch(self, url: str, *args: Any, **kwargs: Any) -> Any:
        """The call, with the address that is in the code replaced."""
        return await super().httpfetch(url.replace("https://www.googleapis.com", self.double_url), *args, **kwargs)

    async def groups(self, email: str) -> set[str]:
        """What it does at every sign-in and refresh, without the call for the profile."""
        found: set[str] = await self._fetch_member_groups(email, email.partition("@")[2])
        return found


def stock(server: Double) -> Stock:
    """As its documentation says: a key file, an administrator, nested groups on."""
    made = Stock(
        gsuite_administrator={"example.com": ADMIN.partition("@")[0]},
        google_service_account_keys={"example.com": str(server.key_file)},
        include_nested_groups=True,
    )
    made.double_url = server.url
    return made


def ours(server: Double, clock: Callable[[], float], **settings: Any) -> GoogleGroupDirectory:
    """The adapter with its defaults, at the double's address."""
    return google_directory(server, clock=clock, tries=4, **settings)
