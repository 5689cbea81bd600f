"""A hub that ends closes the connections of its directory, in bounded time."""

import asyncio
import time
from pathlib import Path

import pytest

from tests.integration.sign_in_hub import USERS, browser, sign_in_hub

pytestmark = [pytest.mark.lab("proxy")]
PASSWORD = "correct horse battery staple"
_ASKING_DIRECTORY = """
import asyncio
from devplatform_hub.authenticators.local import LocalAuthenticator
from devplatform_hub.directory.remote import RemoteGroupDirectory

class Bearer:
    async def token(self):
        return "none"

    def forget(self, token):
        pass

class Asking(RemoteGroupDirectory):
    # Asks the hub's own API, and leaves the connection open as every directory does.
    def __init__(self, before, **kwargs):
        super().__init__(**kwargs)
        self.before, self.api = before, self._api("The directory")

    async def groups_of(self, identity):
        await self.api.get(s["hub_url"] + "/hub/api/", "a question", bearer=Bearer())
        return await self.before.groups_of(identity)

    async def close(self):
        self.log.info("The directory is being closed")
        await asyncio.sleep(s.get("closing_takes", 0))
        await super().close()

class Authenticator(LocalAuthenticator):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.asking = Asking(self._directory)

    @property
    def group_directory(self):
        return self.asking

c.JupyterHub.authenticator_class = Authenticator
"""


@pytest.mark.parametrize(
    ("closing_takes", "said"),
    [
        pytest.param(0, "The directory is being closed", id="at once"),
        pytest.param(600, "were not closed within 5 s", id="never"),
    ],
)
def test_the_directory_is_closed_when_the_hub_ends(tmp_path: Path, closing_takes: int, said: str) -> None:
    """Once, without a complaint about an open session, and a directory that hangs does not keep the hub."""

    async def sign_in() -> None:
        async with browser(hub) as tab:
            assert (await tab.sign_in("alice", PASSWORD)).status == 302

    with sign_in_hub(tmp_path, _ASKING_DIRECTORY) as hub:
        hub.stop()
        hub.settings["closing_takes"] = closing_takes
        hub.start()
        hub.person("alice", USERS, password=PASSWORD)
        asyncio.run(sign_in())
        size, started = len(hub.log), time.monotonic()
        hub.stop()
        took, words = time.monotonic() - started, hub.log[size:]
    assert took < 20
    assert words.count("The directory is being closed") == 1
    assert said in words
    assert "Unclosed" not in words or closing_takes
    assert "Traceback" not in words
