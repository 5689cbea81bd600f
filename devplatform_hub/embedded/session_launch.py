"""The command line and the environment of one server: a plan, a person and this machine, made concrete."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..core.safe_start import safe_environment
from ..core.session import SessionPlan
from .home import Home, safe_settings_folder
from .leftovers import MARK
from .limits import Enforcement
from .overlay import jupyter_folder, overlay_folder, programs_folder
from .process_table import SESSION_VARIABLE

KEPT_ENVIRONMENT = (
    *("PATH", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "TZ", "SHELL", MARK),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"),
)
"""What a server inherits from the hub's environment: where things are, and nothing of the operator's."""

_JUPYTER_SETTINGS = Path(__file__).parent / "static" / "jupyter"


@dataclass(frozen=True, slots=True)
class Caller:
    """The person for whom a server starts: `token` speaks for them at `origin`, `session` marks their processes."""

    name: str
    origin: str
    token: str
    session: str


def environment(
    plan: SessionPlan,
    home: Home,
    caller: Caller,
    *,
    gpus: Sequence[int],
    session_python: str,
    vscode: Mapping[str, str],
) -> dict[str, str]:
    """What every process of the server finds set. Secrets are here and nowhere else: a command line is public."""
    overlay = overlay_folder(home.root)
    programs = [overlay / "bin", programs_folder(home.root), Path(session_python).parent]
    return {
        **plan.environment,
        "HOME": str(home.root),
        "USER": caller.name,
        "LOGNAME": caller.name,
        "SHELL": os.environ.get("SHELL", "/bin/bash"),
        "PATH": os.pathsep.join([*map(str, programs), os.environ.get("PATH", os.defpath)]),
        "VIRTUAL_ENV": str(overlay),
        "JUPYTER_PATH": str(jupyter_folder(home.root)),
        "JUPYTER_CONFIG_PATH": str(_JUPYTER_SETTINGS),
        "CUDA_VISIBLE_DEVICES": ",".join(map(str, gpus)),
        "DEVPLATFORM_WORKSPACE": str(home.workspace),
        "DEVPLATFORM_HUB_ORIGIN": caller.origin,
        "DEVPLATFORM_VERSIONS_URL": f"{caller.origin}/services/versions/",
        SESSION_VARIABLE: caller.session,
        "MLFLOW_TRACKING_URI": f"{caller.origin}/services/mlflow",
        "MLFLOW_TRACKING_TOKEN": caller.token,
        "MLFLOW_EXPERIMENT_NAME": f"people/{caller.name}",  # the MLflow service keeps this name for them
        **vscode,
        **(_safe_environment(home) if plan.safe else {}),
    }


def _safe_environment(home: Home) -> dict[str, str]:
    settings = str(safe_settings_folder(home.root)), str(_JUPYTER_SETTINGS)
    return safe_environment(str(home.root), str(home.workspace.parent), *settings)


def command(
    plan: SessionPlan, key: str, home: Home, state: Path, enforcement: Enforcement, session_python: str
) -> list[str]:
    """The supervisor with the single-user server that it is to run; the hub adds the server's own arguments."""
    limits = ["--cpu", f"{plan.cpu:g}", "--memory", str(plan.memory)]
    cgroup = cgroup_of(enforcement, key)
    if cgroup is not None:
        limits += ["--cgroup", str(cgroup)]
    # Jupyter and Python read what lies in the folder they start in.
    folder = ["--state", str(state), "--folder", str(home.root if plan.safe else home.workspace)]
    supervisor = [session_python, "-m", "devplatform_hub.embedded.session", *folder, *limits, "--"]
    root = ["--allow-root"] if os.geteuid() == 0 else []
    return [*supervisor, session_python, "-m", "jupyterhub.singleuser", *root]


def cgroup_of(enforcement: Enforcement, key: str) -> Path | None:
    """The control group of the server with this key, None where limits are rlimits."""
    return None if enforcement.parent is None else enforcement.parent / f"devplatform-{key}"
