"""A certified OpenID Connect provider (npm `oidc-provider`) on loopback, with people and faults that a test sets."""

import hashlib
import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devplatform_hub.atomic_files import write_atomically
from devplatform_hub.embedded.install import build_node_program, locked
from devplatform_hub.embedded.platform import free_ports
from tests.lab import tools
from tests.lab.process import Process

HERE = Path(__file__).parent
CLIENT_ID = "devplatform"
CLIENT_SECRET = "a-secret-of-tests-alone-0123456789abcdef"


def _folder() -> Path:
    digest = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()[:12]
    return tools.cache() / "node" / f"oidc-provider-{digest}"


def installed() -> Path | None:
    """Where it is, None before `install`."""
    folder = _folder()
    return folder if (folder / "node_modules" / "oidc-provider").is_dir() else None


def install() -> None:
    """Install it from its lock file, unless it is there."""
    with locked(_folder()):
        if installed() is None:
            build_node_program(HERE, _folder(), "oidc-provider")


@dataclass(slots=True)
class OidcProvider:
    """The running provider; `person` and `fault` count from the next request on."""

    issuer: str
    process: Process
    state_file: Path

    def person(self, subject: str, **claims: Any) -> None:
        """Make or change a person: an address that is verified, and no groups, unless said otherwise."""
        state = self._state()
        state["people"][subject] = {"email": f"{subject}@example.com", "email_verified": True, "groups": []} | claims
        self._keep(state)

    def remove(self, subject: str) -> None:
        """Delete the account."""
        state = self._state()
        del state["people"][subject]
        self._keep(state)

    def fault(self, **faults: Any) -> None:
        """From now on it has these faults and no others; provider.mjs says which there are."""
        self._keep(self._state() | {"faults": faults})

    def _state(self) -> dict[str, Any]:
        return dict(json.loads(self.state_file.read_text("utf-8")))

    def _keep(self, state: dict[str, Any]) -> None:
        write_atomically(self.state_file, json.dumps(state))


@contextmanager
def oidc_provider(
    folder: Path, hub_origin: str, access_token_seconds: int = 3600, *, path: str = "", keycloak_admin: str = ""
) -> Iterator[OidcProvider]:
    """A provider that knows the hub at this origin; ended afterwards.

    With `keycloak_admin`, the address of a `KeycloakServer`, it has the endpoints of a realm of Keycloak at `path`,
    and passes on what is asked of the Admin API.
    """
    modules, node = installed(), tools.node()
    assert modules is not None
    assert node is not None
    (port,) = free_ports(1)
    state = folder / "people.json"
    state.write_text(json.dumps({"people": {}, "faults": {}}), "utf-8")
    settings = {
        "issuer": f"http://127.0.0.1:{port}{path}",
        "admin": keycloak_admin,
        "port": port,
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "redirect_uri": f"{hub_origin}/hub/oauth_callback",
        "post_logout_redirect_uris": [f"{hub_origin}/hub/logout"],
        "access_token_seconds": access_token_seconds,
        "state": str(state),
    }
    (folder / "provider.json").write_text(json.dumps(settings), "utf-8")
    command = [node, HERE / "provider.mjs", modules, folder / "provider.json"]
    provider = OidcProvider(str(settings["issuer"]), Process("oidc-provider", command, folder), state)
    provider.process.start()
    try:
        provider.process.wait_until(lambda: _answers(provider.issuer), 30)
        yield provider
    finally:
        provider.process.stop()


def _answers(issuer: str) -> bool:
    with urllib.request.urlopen(f"{issuer}/.well-known/openid-configuration", timeout=5) as answer:
        return int(answer.status) == 200
