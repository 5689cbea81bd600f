"""What a test does in-process, over HTTP at `/-/...`: for a double that is a process of its own."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from aiohttp import web

from .bulk import Fill
from .faults import GcsFault

if TYPE_CHECKING:
    from .server import GcsServer


async def answer(server: "GcsServer", request: web.Request) -> web.Response:
    """Do what is asked for; the body is JSON.

    POST `clock` {"days", "seconds"}, `lifecycle` {"bucket"}, `fill` {"bucket", and as `Fill`},
    `faults` [as `GcsFault`], `delay` {"seconds"}; GET `log`, `ledger`.
    """
    given = await request.json() if request.can_read_body else {}
    return web.json_response(_done(server, request.match_info["what"], given))


def _done(server: "GcsServer", what: str, given: Any) -> Any:
    if what == "clock":
        server.clock.move(**given)
        return {"now": server.clock.now()}
    if what == "lifecycle":
        return [asdict(one) for one in server.apply_lifecycle(given["bucket"])]
    if what == "fill":
        server.fill(given.pop("bucket"), Fill(**given))
        return {}
    if what == "faults":
        server.faults[:] = [GcsFault(**one) for one in given]
        return {}
    if what == "delay":
        server.delay = float(given["seconds"])
        return {}
    if what == "log":
        return [asdict(entry) for entry in server.log.calls]
    if what == "ledger":
        ledger = server.ledger
        costs = {"operations": ledger.operations, "classes": ledger.classes}
        return costs | {"early": [asdict(one) for one in ledger.early]}
    raise web.HTTPNotFound
