"""The peer of `bench_capture`: what people use today, a loop that watches a folder and commits all of it with git.

`python -m tests.benchmarks.capture_peer REPOSITORY` prints `<commit> <time>` when each commit is done. As gitwatch
does, but without gitwatch's two seconds of waiting: it commits as soon as watchfiles reports.
"""

import subprocess
import sys
import time

from watchfiles import DefaultFilter, watch


def git(repository: str, *arguments: str) -> str:
    """What git prints."""
    command = ["git", "-C", repository, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def main(repository: str) -> None:
    """Commit until SIGTERM."""
    git(repository, "init", "-q", "-b", "main")
    print("ready", time.time(), flush=True)
    for _ in watch(repository, watch_filter=DefaultFilter(), debounce=300, step=100):
        git(repository, "add", "-A")
        if git(repository, "status", "--porcelain"):
            author = ("-c", "user.name=bench", "-c", "user.email=bench@example.com")
            git(repository, *author, "commit", "-q", "--no-gpg-sign", "-m", "save")
            print(git(repository, "rev-parse", "HEAD"), time.time(), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
