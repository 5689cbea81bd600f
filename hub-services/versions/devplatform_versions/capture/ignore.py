"""What is not captured. The defaults, then `.devplatformignore` (gitignore syntax), whose `!rules` win. Pure.

| ignored by default | why |
|---|---|
| `.git/ .hg/ .svn/ .jj/` | repositories keep their own history: one commit makes 62 versions |
| `node_modules/ bower_components/ .venv/ venv/ .tox/ .nox/ __pypackages__/ site-packages/` | installed, not written |
| any folder with a `pyvenv.cfg` in it | a virtual environment of any name (whatever the rules say) |
| `__pycache__/ *.pyc .ipynb_checkpoints/ .mypy_cache/ .ruff_cache/ .pytest_cache/` | caches |
| `.cache/ .npm/ .gradle/ .terraform/ .parcel-cache/` | caches |
| `.~* ~$* *~ #*# .#* *.swp *.swo *.swx 4913` | temporary files of JupyterLab, Office, Emacs, Vim |
| `.goutputstream-* *.kate-swp` | GNOME's and Kate's |
| `*-journal *-wal *-shm` | a database's journal is nothing without the database |
| `*.part *.crdownload *.partial` | downloads that are not finished |
| `.nfs* .fuse_hidden* .DS_Store Thumbs.db .Trash-*/ lost+found/` | left by file systems and desktops |

Lock files of package managers (`uv.lock`, `package-lock.json`) are work, and are captured.
`.versions` and `.devplatform` in the workspace are never captured, whatever the rules say.
"""

from collections.abc import Iterable

from pathspec import GitIgnoreSpec

from devplatform_hub.core.workspace import STATE_FOLDER, VERSIONS_FOLDER

IGNORE_FILE = ".devplatformignore"
MOST_RULES = 1000
DEFAULTS = """
.git/ .hg/ .svn/ .jj/
node_modules/ bower_components/ .venv/ venv/ .tox/ .nox/ __pypackages__/ site-packages/
__pycache__/ *.pyc .ipynb_checkpoints/ .mypy_cache/ .ruff_cache/ .pytest_cache/ .cache/ .npm/ .gradle/ .terraform/
.parcel-cache/
.~* ~$* *~ \\#*# .#* *.swp *.swo *.swx 4913 .goutputstream-* *.kate-swp
*-journal *-wal *-shm
*.part *.crdownload *.partial
.nfs* .fuse_hidden* .DS_Store Thumbs.db .Trash-*/ lost+found/
""".split()  # noqa: SIM905 - a list with a quote around each rule cannot be read
_MOST_REMEMBERED = 10_000


class IgnoreRules:
    """The rules in force. A folder that is ignored hides all that is in it, as with git."""

    def __init__(self, lines: Iterable[str] = ()) -> None:
        self.problems: list[str] = []
        good: list[str] = []
        for number, line in enumerate(lines, 1):
            if number > MOST_RULES:
                self.problems.append(f"{IGNORE_FILE} has more than {MOST_RULES} lines: the rest is not used")
                break
            try:
                GitIgnoreSpec.from_lines([line])
            except ValueError:
                self.problems.append(f"{IGNORE_FILE} line {number} is not a gitignore rule")
            else:
                good.append(line)
        self._spec = GitIgnoreSpec.from_lines([*DEFAULTS, *good])
        self._folders: dict[str, bool] = {"": False}

    def ignores_folder(self, path: str) -> bool:
        """Whether this folder, or one around it, is ignored."""
        known = self._folders.get(path)
        if known is None:
            above = path.rpartition("/")[0]
            known = (
                path in (VERSIONS_FOLDER, STATE_FOLDER)
                or self.ignores_folder(above)
                or self._spec.match_file(f"{path}/")
            )
            if len(self._folders) >= _MOST_REMEMBERED:
                self._folders = {"": False}
            self._folders[path] = known
        return known

    def ignores_file(self, path: str) -> bool:
        """Whether this file is ignored, by itself or by a folder around it."""
        if path in (VERSIONS_FOLDER, STATE_FOLDER):
            return True
        return self.ignores_folder(path.rpartition("/")[0]) or self._spec.match_file(path)
