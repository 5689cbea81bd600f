"""A hub as `devplatform_hub.config` composes it, with the local sign-in and the versions service, to be attacked."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp

from devplatform_hub.embedded.platform import free_ports
from tests.integration.sign_in_hub import Browser, Hub, Page, sign_in_hub

SERVICE = "/services/versions/"
SERVICE_MEMORY = 1.0
"""Seconds for which the service believes what the hub said; 30 unless it is told otherwise."""
_COMPOSED = """
from devplatform_hub.config import _compose
from devplatform_hub.hub_services import VERSIONS, managed
c.JupyterHub.load_roles = [role for role in c.JupyterHub.load_roles if role["name"] != "user"] + s["roles"]
arguments = ["--LocalVersionStore.root=" + s["folder"] + "/versions", f"--HubSignIn.cache_max_age={s['memory']}"]
c.JupyterHub.services.append(
    managed(VERSIONS, python=s["python"], port=s["service_port"], arguments=arguments, environment={})
)
_compose(c, [VERSIONS])
"""


@contextmanager
def attacked_hub(folder: Path, roles: Any = ()) -> Iterator[Hub]:
    """A hub that answers, with its service and an operator's own roles; both are ended afterwards."""
    from devplatform_hub.directory.users_file import UsersFile

    UsersFile(folder / "users.yaml").change(lambda users: users)
    (port,) = free_ports(1)
    more = {"service_port": port, "memory": int(SERVICE_MEMORY), "roles": list(roles)}
    with sign_in_hub(folder, _COMPOSED, **more) as hub:
        yield hub


async def asked(tab: Browser, method: str, path: str, **options: Any) -> Page:
    """One request as a browser's page sends it; redirects are not followed."""
    async with tab.session.request(method, tab.origin + path, allow_redirects=False, **options) as answer:
        return Page(answer.status, answer.url.path_qs, await answer.text(), dict(answer.headers))


async def raw(origin: str, method: str, path: str, cookies: str = "", **options: Any) -> Page:
    """One request with exactly these cookies, in this order."""
    headers = {"Cookie": cookies, **options.pop("headers", {})} if cookies else options.pop("headers", {})
    async with (
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
        session.request(method, origin + path, headers=headers, allow_redirects=False, **options) as answer,
    ):
        set_cookies = "\n".join(answer.headers.getall("Set-Cookie", []))
        return Page(answer.status, str(answer.url), await answer.text(), {**answer.headers, "Set-Cookie": set_cookies})
