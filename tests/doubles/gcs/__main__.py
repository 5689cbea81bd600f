"""`python -m tests.doubles.gcs [--port 0] [--bucket NAME]... [--fill BUCKET:FILES:VERSIONS]... [--delay SECONDS]`.

Prints its address, then serves until it is told to end (SIGTERM, SIGINT). Buckets are versioned, `--plain` ones not.
"""

import argparse
import asyncio
import signal

from .bulk import Fill
from .server import GcsServer


async def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser(prog="python -m tests.doubles.gcs", description="A double of Cloud Storage.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--bucket", action="append", default=[], help="a versioned bucket")
    parser.add_argument("--plain", action="append", default=[], help="a bucket without versions")
    parser.add_argument("--fill", action="append", default=[], help="BUCKET:FILES:VERSIONS[:PREFIX]")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds that every answer takes longer")
    arguments = parser.parse_args()
    server = GcsServer()
    server._port = arguments.port
    server.delay = arguments.delay
    for name in arguments.bucket:
        server.make_bucket(name)
    for name in arguments.plain:
        server.make_bucket(name, versioned=False)
    for text in arguments.fill:
        bucket, files, versions, *prefix = text.split(":", 3)
        server.fill(bucket, Fill(int(files), int(versions), *prefix))
    ended = asyncio.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, ended.set)
    async with server:
        print(server.url, flush=True)
        await ended.wait()


if __name__ == "__main__":
    asyncio.run(main())
