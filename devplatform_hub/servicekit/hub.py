"""JupyterHub's REST API for services: pages and quoting in one place. https://jupyterhub.readthedocs.io/en/stable/reference/rest-api.html"""

import os
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import aiohttp

from ..core.errors import DevPlatformError

_PAGINATED = "application/jupyterhub-pagination+json"
_PAGE_SIZE = 200  # the hub's own maximum (api_page_max_limit)


class HubUnavailable(DevPlatformError):
    """The hub did not answer, or refused the service's own token."""


class HubClient:
    """`HubApi` over HTTP with the token of the service. Close it, or use it as an async context manager."""

    def __init__(self, api_url: str | None = None, token: str | None = None) -> None:
        self._api_url = (api_url or os.environ["JUPYTERHUB_API_URL"]).rstrip("/")
        self._headers = {"Authorization": f"token {token or os.environ['JUPYTERHUB_API_TOKEN']}"}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "HubClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End the connections."""
        if self._session:
            await self._session.close()
            self._session = None

    async def users(self, *, state: str | None = None) -> AsyncIterator[dict[str, Any]]:
        """User models with their servers, one page of 200 at a time. Raises `HubUnavailable`."""
        offset: int | None = 0
        while offset is not None:
            query: dict[str, str | int] = {"offset": offset, "limit": _PAGE_SIZE}
            if state:
                query["state"] = state
            page = await self._get("/users", query)
            for user in page["items"]:
                yield user
            following = page["_pagination"]["next"]
            offset = following["offset"] if following else None

    async def stop_server(self, user: str, server: str) -> bool:
        """Ask the hub to stop a server. True when it is stopped, False while it is still stopping."""
        name = quote(user, safe="")
        path = f"/users/{name}/servers/{quote(server, safe='')}" if server else f"/users/{name}/server"
        try:
            async with self._client().delete(self._api_url + path) as answer:
                if answer.status in (204, 404):
                    return True
                if answer.status == 202:
                    return False
                raise HubUnavailable(f"the hub answered {answer.status} to stopping a server")
        except (aiohttp.ClientError, TimeoutError) as error:
            raise HubUnavailable(f"the hub cannot be reached: {error}") from error

    async def _get(self, path: str, query: dict[str, str | int]) -> dict[str, Any]:
        try:
            async with self._client().get(self._api_url + path, params=query, headers={"Accept": _PAGINATED}) as answer:
                if answer.status != 200:
                    raise HubUnavailable(f"the hub answered {answer.status} to GET {path}")
                return await answer.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise HubUnavailable(f"the hub cannot be reached: {error}") from error

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(headers=self._headers, timeout=aiohttp.ClientTimeout(total=60))
        return self._session
