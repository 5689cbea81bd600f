"""The editors of one machine: whether VS Code (code-server) is here, and how it is set up for a person."""

import json
import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from ..core.profiles import Editor
from .home import Home
from .overlay import PRIVATE_FOLDER, programs_folder, put

# What code-server reads from a file instead of arguments: the proxy in front of it passes a fixed command line.
_CODE_SERVER = """\
auth: none
cert: false
disable-telemetry: true
disable-update-check: true
disable-workspace-trust: true
disable-getting-started-override: true
disable-proxy: true
app-name: VS Code
"""
_VSCODE_SETTINGS: Mapping[str, object] = {
    "chat.disableAIFeatures": True,
    "extensions.autoCheckUpdates": False,
    "files.exclude": {"**/.devplatform": True, "**/.ipynb_checkpoints": True},
    "files.watcherExclude": {"**/.versions/**": True},
    "search.exclude": {"**/.versions": True},
    "security.workspace.trust.enabled": False,
    "telemetry.telemetryLevel": "off",
    "update.mode": "none",
    "workbench.secondarySideBar.defaultVisibility": "hidden",
    "workbench.startupEditor": "none",
    "workbench.welcomePage.walkthroughs.openOnInstall": False,
}


def missing_editors(code_server: str, node: str) -> dict[Editor, str]:
    """Why an editor cannot be started, for those that cannot. Looked at each time: VS Code may still be installing."""
    if not code_server or not Path(code_server).exists():
        return {
            Editor.VSCODE: "VS Code is not installed on this machine yet. Install it with: devplatform install vscode"
        }
    if not node or not os.access(node, os.X_OK):
        return {
            Editor.VSCODE: "VS Code needs Node.js, which is not here. Install both with: devplatform install vscode"
        }
    return {}


def prepare_vscode(home: Home, code_server: str, node: str) -> dict[str, str]:
    """The environment that makes VS Code open in this home, with its settings put there unless they exist."""
    private = home.root / PRIVATE_FOLDER
    programs = programs_folder(home.root)
    programs.mkdir(mode=0o700, parents=True, exist_ok=True)
    entry = Path(code_server).resolve()
    # code-server asks `env` for node; the person's PATH need not have ours, nor theirs be the version it needs.
    # VSCODE_CLI: the environment is complete. Else VS Code asks a login shell, whose PATH is the machine's.
    script = f'#!/bin/sh\nVSCODE_CLI=1 exec {shlex.quote(node)} {shlex.quote(str(entry))} "$@"\n'
    put(programs / "code-server", script, 0o700)
    configuration = private / "code-server.yaml"
    put(configuration, _CODE_SERVER, 0o600)
    settings = home.root / ".local" / "share" / "code-server" / "User" / "settings.json"
    if not settings.exists():
        settings.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        put(settings, json.dumps(_VSCODE_SETTINGS, indent=4) + "\n", 0o600)
    return {
        "CODE_EXECUTABLE": "code-server",
        "CODE_WORKINGDIR": str(home.workspace),
        "CODE_SERVER_CONFIG": str(configuration),
        # A socket with mode 0600: on a TCP port, anybody on this machine could open a shell in it.
        "JUPYTER_VSCODE_PROXY_USE_SOCKET": "1",
    }
