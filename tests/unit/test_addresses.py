"""Where a request comes from: what the proxy saw, and nothing that the request says of itself."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from tornado import httpserver, netutil, web

from devplatform_hub.servicekit.addresses import address_of

_PROXIES = ("10.0.0.1", "10.0.0.2")


class Says(web.RequestHandler):
    def get(self) -> None:
        self.write(address_of(self.request))


@pytest.fixture
async def url() -> AsyncIterator[str]:
    """A server that reads headers of proxies, as the hub's does."""
    sockets = netutil.bind_sockets(0, "127.0.0.1")
    server = httpserver.HTTPServer(web.Application([("/", Says)]), xheaders=True, trusted_downstream=list(_PROXIES))
    server.add_sockets(sockets)
    yield f"http://127.0.0.1:{sockets[0].getsockname()[1]}/"
    server.stop()
    async with asyncio.timeout(3):
        await server.close_all_connections()


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param({}, "127.0.0.1", id="no proxy"),
        pytest.param({"X-Forwarded-For": "192.0.2.7"}, "192.0.2.7", id="a proxy"),
        pytest.param({"X-Forwarded-For": "192.0.2.7", "X-Real-Ip": "198.51.100.1"}, "192.0.2.7", id="X-Real-Ip"),
        pytest.param({"X-Real-Ip": "198.51.100.1"}, "127.0.0.1", id="X-Real-Ip alone"),
        pytest.param({"X-Forwarded-For": "198.51.100.1, 192.0.2.7"}, "192.0.2.7", id="one before the proxy's"),
        pytest.param({"X-Forwarded-For": "192.0.2.7, 10.0.0.2,10.0.0.1"}, "192.0.2.7", id="trusted proxies"),
        pytest.param({"X-Forwarded-For": "10.0.0.1"}, "127.0.0.1", id="trusted proxies alone"),
        pytest.param({"X-Forwarded-For": "192.0.2.7, <b>x</b>"}, "127.0.0.1", id="no address"),
        pytest.param({"X-Forwarded-For": "2001:db8::1"}, "2001:db8::1", id="IPv6"),
    ],
)
async def test_where_a_request_comes_from(url: str, headers: dict[str, str], expected: str) -> None:
    """Whoever guesses passwords cannot choose the address by which their guesses are counted."""
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
        assert await answer.text() == expected
