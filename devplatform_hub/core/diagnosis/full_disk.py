"""A home disk without room: how it is known, and what a person is told."""

CODE = "disk-full"
NO_SPACE = 28
"""errno ENOSPC, with which our own programs end."""
FULL = ("no space left on device", "disk quota exceeded")
"""What programs say when a disk is full."""
CANNOT_START = "Your home disk is full, so your server cannot start."
ENDED = "It ended because its home disk is full."
HINT = "Start it again as a safe start, and delete what you no longer need."


def is_full(exit_code: object, words: object) -> bool:
    """Whether a program that ended with this status, and these last words, found the disk full."""
    low = str(words or "").lower()
    return exit_code == NO_SPACE or any(mark in low for mark in FULL)
