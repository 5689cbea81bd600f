"""A real hub with the Google sign-in and the real Google adapter, which asks the double of Google's APIs."""

import asyncio
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.doubles.api_server import ApiServer
from tests.doubles.google_server import ADMIN, SERVICE_ACCOUNT, GoogleServer
from tests.integration.oidc_hub import DOMAIN, USERS, OidcHub
from tests.lab.hub import BASE_CONFIG, base_settings
from tests.lab.oidc_provider import CLIENT_ID, CLIENT_SECRET, oidc_provider

LIFETIME = 7.0
CONFIG = """
c.JupyterHub.authenticator_class = "devplatform_hub.authenticators.google.GoogleAuthenticator"
del c.Authenticator["allow_all"]
c.JupyterHub.spawner_class = "simple"
c.JupyterHub.cleanup_servers = False
c.JupyterHub.load_roles.append({"name": "user", "scopes": ["self", "access:services"]})
c.SimpleLocalProcessSpawner.home_dir_template = s["folder"] + "/home/{username}"
c.SimpleLocalProcessSpawner.cmd = [s["python"], "-m", "jupyterhub.tests.mocksu"]
c.CryptKeeper.keys = ["00" * 32]
for section, traits in s["traits"].items():
    for name, value in traits.items():
        c[section][name] = value
"""


class Threaded:
    """Servers of doubles in a loop of their own, so that a test may wait for a hub meanwhile."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def do(self, work: Any) -> Any:
        """The result of a coroutine there."""
        done: Future[Any] = asyncio.run_coroutine_threadsafe(work, self.loop)
        return done.result(30)

    def close(self, *servers: ApiServer) -> None:
        for server in servers:
            self.do(server.stop())
        self.do(_cancel_others())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()


async def _cancel_others() -> None:
    """Calls that a server of the test was still to answer."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


@dataclass(slots=True)
class GoogleHub(OidcHub):
    """The hub, the provider that it trusts, and the directory that it asks."""

    directory: GoogleServer = field(kw_only=True)
    thread: Threaded = field(kw_only=True)

    def member(self, name: str, *groups: str) -> str:
        """Make or change a person of the organisation; the name of their hub user."""
        address, subject = f"{name}@{DOMAIN}", f"of-{name}"
        self.provider.person(subject, email=address, hd=DOMAIN)
        self.directory.put(subject, address, [f"{group}@{DOMAIN}" for group in groups])
        return address

    def close_directory(self) -> None:
        self.thread.do(self.directory.stop())

    def heal_directory(self) -> None:
        """It answers again as it should."""
        self.directory.faults.clear()
        self.directory.delay = 0.0
        if not self.directory.is_listening:
            self.thread.do(self.directory.start())


def directory_settings(url: str, **traits: Any) -> dict[str, Any]:
    """The adapter turned to the double, which it gives up soon and of which it keeps nothing."""
    roots = ("admin_api_root", "cloud_identity_root", "token_root", "iam_credentials_root")
    return {
        "service_account": SERVICE_ACCOUNT,
        "admin_subject": ADMIN,
        "timeout": 0.5,
        "patience": 1.2,
        "tries": 2,
        "answer_lifetime": 0,
        "group_lifetime": 0,
        **dict.fromkeys(roots, url),
        **traits,
    }


@contextmanager
def google_hub(folder: Path, traits: Mapping[str, Any] | None = None) -> Iterator[GoogleHub]:
    """A hub that answers and decides about everybody again every second; all of it is ended afterwards."""
    settings = base_settings(folder, {}) | {"python": sys.executable}
    (folder / "jupyterhub_config.py").write_text(BASE_CONFIG + CONFIG, "utf-8")
    (folder / "home").mkdir(exist_ok=True)
    origin = str(settings["origin"])
    thread, directory = Threaded(), GoogleServer()
    thread.do(directory.start())
    try:
        with oidc_provider(folder, origin) as provider:
            settings["traits"] = {
                "GoogleAuthenticator": {
                    "issuer": provider.issuer,
                    "client_id": CLIENT_ID,
                    "client_secret": CLIENT_SECRET,
                    "oauth_callback_url": f"{origin}/hub/oauth_callback",
                    "hosted_domain": [DOMAIN],
                    "scope": ["openid", "email", "profile", "offline_access"],
                    "auth_refresh_age": 1,
                    "last_answer_lifetime": LIFETIME,
                    **(traits or {}),
                },
                "GoogleGroupDirectory": directory_settings(directory.url),
            }
            environment = {
                "DEVPLATFORM_AUDIT_FILE": str(folder / "audit.jsonl"),
                "GOOGLE_APPLICATION_CREDENTIALS": str(directory.credentials_file(folder)),
            }
            hub = GoogleHub(
                origin,
                folder,
                folder,
                settings=settings,
                environment=environment,
                provider=provider,
                directory=directory,
                thread=thread,
            )
            try:
                hub.start()
                yield hub
            finally:
                hub.stop()
    finally:
        thread.close(directory)


__all__ = ["LIFETIME", "USERS", "GoogleHub", "Threaded", "directory_settings", "google_hub"]
