"""The supervisor of one person's server: `python -m devplatform_hub.embedded.session ... -- <single-user command>`.

It starts the single-user server under the profile's limits and, next to it, the platform's helpers: the capture agent
and the `.versions/` mount. It restarts a helper that died, ends the server when it uses more memory than it may, and
when it stops, nothing of its family is left: kernels, editors, terminals and whatever they put in the background.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from .home import remove_safe_home
from .limits import Cgroup, Limits
from .supervisor import Helper, Settings, Supervisor


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line and the environment that the spawner set."""
    parser = argparse.ArgumentParser(prog="python -m devplatform_hub.embedded.session")
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--folder", type=Path, help="where the server starts; default: its workspace")
    parser.add_argument("--cpu", type=float)
    parser.add_argument("--memory", type=int)
    parser.add_argument("--cgroup", type=Path)
    parser.add_argument("command", nargs="+")
    options = parser.parse_args(arguments)
    limits = Limits(options.cpu, options.memory) if options.cpu and options.memory else None
    workspace = Path(os.environ["DEVPLATFORM_WORKSPACE"])
    settings = Settings(
        state=options.state,
        workspace=workspace,
        folder=options.folder,
        limits=limits,
        cgroup=Cgroup(options.cgroup) if options.cgroup else None,
        port=_port(os.environ.get("JUPYTERHUB_SERVICE_URL", "")),
    )
    helpers = [
        Helper("The capture agent", [sys.executable, "-m", "devplatform_versions.capture"]),
        Helper("The .versions mount", [sys.executable, "-m", "devplatform_versions.mount"]),
    ]

    def prepare() -> None:
        from .overlay import prepare_overlay  # the server is starting already: nobody waits for this import

        prepare_overlay(Path(os.environ["HOME"]))

    try:
        return Supervisor(settings, options.command, helpers, prepare).run()
    finally:
        remove_safe_home(str(options.folder))


def _port(url: str) -> int:
    digits = url.partition("://")[2].partition("/")[0].rpartition(":")[2]
    return int(digits) if digits.isdigit() else 0


if __name__ == "__main__":
    sys.exit(main())
