"""Filling a bucket without HTTP: a million generations in seconds, their content made from a seed when asked for."""

import gc
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .bucket import Bucket
from .clock import SECOND
from .generations import Generation
from .store import Store

_SIZES = [200 + 37 * place for place in range(64)]
"""Sizes that are used again and again, as integers of a process are not shared by themselves."""


@dataclass(frozen=True, slots=True)
class Fill:
    """`files` files below `prefix`, `per_folder` in each folder, each saved `versions` times, `apart` seconds apart.

    The last save of a file is now, or some seconds ago; names are "<prefix>d00012/f00007.py".
    """

    files: int
    versions: int = 1
    prefix: str = ""
    per_folder: int = 200
    apart: int = 3600
    content_type: str = "text/x-python"

    def names(self) -> Iterator[str]:
        """In order."""
        for number in range(self.files):
            folder, place = divmod(number, self.per_folder)
            yield f"{self.prefix}d{folder:05}/f{place:05}.py"


def fill(store: Store, bucket: Bucket, what: Fill) -> None:
    """Add it all; names that are there already are left alone. Lifecycle, soft deletion and cost know nothing of it."""
    details = {"contentType": what.content_type}
    began = store.clock.now() - what.versions * what.apart * SECOND
    new: list[str] = []
    for place, name in enumerate(what.names()):
        if name in bucket.versions:
            continue
        new.append(name)
        times = (began + place + turn * what.apart * SECOND for turn in range(what.versions))
        bucket.versions[name] = _history(bucket.storage_class, details, times, place)
    bucket.names = sorted([*bucket.names, *new])
    store.last = max(store.last, store.clock.now(), began + len(new) + what.versions * what.apart * SECOND)
    # A million objects that stay: the collector would walk through them again and again.
    gc.collect()
    gc.freeze()


def _history(storage_class: str, details: dict[str, str], times: Iterable[int], place: int) -> list[Generation]:
    made: list[Generation] = []
    for turn, moment in enumerate(times):
        if made:
            made[-1].deleted = moment
        made.append(
            Generation(
                number=moment,
                created=moment,
                body=moment,
                size=_SIZES[(place + turn) % len(_SIZES)],
                crc=None,
                md5=None,
                storage_class=storage_class,
                details=details,
                updated=moment,
            )
        )
    return made
