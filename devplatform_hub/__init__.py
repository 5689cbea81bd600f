"""DevPlatform Hub: a JupyterHub extension for teams that need VS Code and Jupyter on demand.

Start reading at `devplatform_hub.config.setup`, the one call that a jupyterhub_config.py makes.
"""

from importlib.metadata import PackageNotFoundError, version
from typing import Any

try:
    __version__ = version("devplatform-hub")
except PackageNotFoundError:  # a source tree on sys.path that was never installed
    __version__ = "0+unknown"


def setup(c: Any) -> None:
    """The platform on the hub that `c` configures: `import devplatform_hub; devplatform_hub.setup(c)`."""
    from .config import setup as compose  # not above: services import this package, and have no hub

    compose(c)
