"""A safe start: the same server, of which nothing has to be written to the home disk, because that is full.

Whatever a server keeps for itself goes to a temporary folder, which is also its HOME: what people have in their own
HOME to be read at the start is not read. Their files stay where they are, to be looked at and deleted.
"""

import shlex
from typing import Any

ABOUT = (
    "Your profile as always, but nothing has to be written to your home disk. "
    "Your files are in their usual place, so that you can delete what you no longer need. "
    "Your own start-up settings are not read, and settings that you change are not kept."
)
"""What a person reads before they choose it."""
RUNNING = (
    "This is a safe start. Your files are in their usual place: delete what you no longer need, then stop the server "
    "and start it as always. Your own start-up settings were not read, and settings that you change now are not kept."
)
"""What a person reads while such a server runs."""
STARTING = "This is a safe start: your files are in their usual place, and settings that you change are not kept."
SETTINGS_FILE = "jupyter_server_config.json"
SAYS = "DEVPLATFORM_SAFE_START"
"""The variable that holds what every terminal of such a server begins with."""

# sh is everywhere; the shell that follows it finds no start-up file in the temporary HOME. The server starts there,
# so a terminal for which no folder is named goes where the server's files are.
_SHELL = (
    f'printf "%s\\n\\n" "${SAYS}"; '
    '[ "$PWD" != "$HOME" ] || cd "${JUPYTER_SERVER_ROOT:-.}"; '
    'exec "${SHELL:-/bin/sh}"'
)


def safe_environment(folder: str, home: str, *settings: str) -> dict[str, str]:
    """What every process of the server finds set: `folder` is the temporary one, `home` the home as it is always.

    `settings` are folders with settings of Jupyter, the one with `server_settings` first. HOME alone would do for most
    programs; the others are named because a profile or an image may have set them.
    """
    data, config, cache = f"{folder}/.local/share", f"{folder}/.config", f"{folder}/.cache"
    jupyter = f"{folder}/.jupyter"
    return {
        "HOME": folder,
        "TMPDIR": folder,
        "XDG_CACHE_HOME": cache,
        "XDG_CONFIG_HOME": config,
        "XDG_DATA_HOME": data,
        "XDG_STATE_HOME": f"{folder}/.local/state",
        "JUPYTER_CONFIG_PATH": ":".join(filter(None, settings)),
        "JUPYTER_CONFIG_DIR": jupyter,
        "JUPYTER_DATA_DIR": f"{data}/jupyter",
        "JUPYTER_RUNTIME_DIR": f"{data}/jupyter/runtime",
        "JUPYTERLAB_SETTINGS_DIR": f"{jupyter}/lab/user-settings",
        "JUPYTERLAB_WORKSPACES_DIR": f"{jupyter}/lab/workspaces",
        "IPYTHONDIR": f"{folder}/.ipython",
        "MPLCONFIGDIR": f"{config}/matplotlib",
        "PYTHONNOUSERSITE": "1",  # ~/.local/lib of the home: packages there may be why nothing starts
        "PYTHONPYCACHEPREFIX": f"{cache}/python",
        "DEVPLATFORM_STATE": f"{folder}/.devplatform-state",
        "DEVPLATFORM_VERSIONS_VIEW": "off",  # copies of old versions would fill what is deleted
        SAYS: (
            f"Safe start. Your files are in {home}. This terminal's own HOME, {folder}, is temporary: "
            f"settings that you change now are not kept.\n"
            f"What takes the most space:  du -xhd1 {shlex.quote(home)} | sort -h"
        ),
    }


def server_settings() -> dict[str, Any]:
    """Jupyter's settings of such a server, for `SETTINGS_FILE`.

    What is deleted is gone: a trash on the same disk would free nothing.
    """
    return {
        "ServerApp": {"terminado_settings": {"shell_command": ["/bin/sh", "-c", _SHELL]}},
        "ContentsManager": {"allow_hidden": True},
        "FileContentsManager": {"delete_to_trash": False, "always_delete_dir": True},
    }
