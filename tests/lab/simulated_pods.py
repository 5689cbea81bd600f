"""What stands at 127.0.0.1 for every simulated pod: a server that answers the hub as a single-user server does.

`python -m tests.lab.simulated_pods PORT`. The hub asks `/user/<name>/api` until it answers, and compares versions by
the header; a person who opens the address reads whose server that would be. Nothing in it knows of sign-in.
"""

import asyncio
import html
import json
import sys

import jupyterhub
from aiohttp import web

_VERSION = {"X-JupyterHub-Version": jupyterhub.__version__}
_PAGE = """<!doctype html><html lang="en"><title>Simulated server</title>
<h1>Simulated server</h1><p>{path}</p><p>The pod is real for Kubernetes, and nothing runs in it.</p>
<p><a href="/hub/home">Home</a></p></html>"""


async def answer(request: web.Request) -> web.Response:
    """`.../api` gives what a single-user server's own API gives, everything else a page."""
    if request.path.rstrip("/").endswith("/api"):
        body = json.dumps({"version": jupyterhub.__version__})
        return web.Response(text=body, content_type="application/json", headers=_VERSION)
    page = _PAGE.format(path=html.escape(request.path))
    return web.Response(text=page, content_type="text/html", headers=_VERSION)


async def main(port: int) -> None:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=4096).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
