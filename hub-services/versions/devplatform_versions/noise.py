"""Which versions a browser hides unless asked: what programs leave behind while they save. Pure."""

from datetime import timedelta

from .model import Version

_NOISE_FOLDERS = frozenset({".git", ".ipynb_checkpoints"})
_NOISE_SUFFIXES = ("-journal", "-wal", "-shm", ".swp", ".swx", "~")
_LOCK_MARKER_BYTES = 64  # a process id and a host name; a lock file of dependencies is far longer
_SHORT_LIFE = timedelta(seconds=2)


def is_noise(version: Version) -> bool:
    """Whether a browser hides this version unless asked: what programs leave behind while they save.

    Folders of git and of checkpoints, editors' and databases' side files, lock markers, and the empty version
    that a shell makes for a moment before it writes (`echo x > f` is two saves).
    """
    *folders, name = version.path.split("/")
    if not _NOISE_FOLDERS.isdisjoint(folders):
        return True
    if name.startswith((".~", ".nfs")) or name.endswith(_NOISE_SUFFIXES):
        return True
    if version.tombstone:
        return False
    if name.endswith(".lock") and version.size <= _LOCK_MARKER_BYTES:
        return True
    if version.size > 0 or version.noncurrent_since is None:
        return False
    return timedelta(0) <= version.noncurrent_since - version.created < _SHORT_LIFE


def is_noise_folder(name: str) -> bool:
    """Whether everything in a folder of this name is noise."""
    return name in _NOISE_FOLDERS
