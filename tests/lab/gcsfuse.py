"""gcsfuse on a bucket of the double of Cloud Storage, mounted for as long as a test needs it."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab import build
from tests.lab.process import Process


@contextmanager
def mounted(url: str, bucket: str, folder: Path, *options: str, name: str = "mount") -> Iterator[Path]:
    """The bucket at `folder/name`, as this user's; taken away again by the mount's own path and process.

    Without the hidden `--enable-hns=false`, gcsfuse asks for the bucket's layout by gRPC, which no HTTP double speaks.
    """
    place = folder / name
    place.mkdir()
    command: list[str | Path] = [
        build.path("gcsfuse"),
        "--foreground",
        f"--custom-endpoint={url}/storage/v1/",
        "--anonymous-access",
        "--enable-hns=false",
        "--implicit-dirs",
        "--rename-dir-limit=10000",
        f"--uid={os.getuid()}",
        f"--gid={os.getgid()}",
        *options,
        bucket,
        place,
    ]
    process = Process(name, command, folder, {"PATH": os.environ["PATH"], "HOME": str(folder)})
    process.start()
    try:
        process.wait_until(lambda: os.path.ismount(place), within=30)
        yield place
    finally:
        # Lazily where a test left a file open: nothing of the mount may stay behind.
        for how in (["-u"], ["-u", "-z"]):
            if os.path.ismount(place):
                subprocess.run(["fusermount3", *how, str(place)], capture_output=True, check=False)
        process.stop()
