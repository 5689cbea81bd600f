"""The versions service in a process of its own, for a benchmark: who calls comes from a table instead of a hub."""

import asyncio
import os
import sys

from devplatform_hub.servicekit.app import stop_signal
from devplatform_hub.servicekit.audit import AUDIT_FILE_VARIABLE
from devplatform_versions.app import VersionsApp
from tests.doubles.hub_sign_in import TableSignIn, user_model

PREFIX = "/services/versions/"


async def main(root: str, port: str = "0") -> None:
    """Print the address, then serve until SIGTERM. The audit goes to a file: nobody reads on after the address."""
    os.environ[AUDIT_FILE_VARIABLE] = f"{root}.audit.jsonl"
    app = VersionsApp(url=f"http://127.0.0.1:{port}", prefix=PREFIX, log_level="WARN")
    app.config.LocalVersionStore.root = root
    stop = stop_signal()
    serving = await app.listen(TableSignIn({"alices-token": user_model("alice")}, prefix=PREFIX))
    print(f"http://127.0.0.1:{serving}", flush=True)
    await stop.wait()
    await app.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
