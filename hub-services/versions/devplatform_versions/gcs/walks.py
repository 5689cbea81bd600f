"""Listings of a bucket, page by page, and no more of each than is asked for.

https://cloud.google.com/storage/docs/json_api/v1/objects/list: names come in the order of their UTF-8 bytes, the
generations of one name oldest first.
"""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any

from .api import GcsApi
from .history import FIELDS

Resource = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which names: those that begin with `prefix`, from `start` on, before `end` ("": no such border).

    `folders` gathers what is below a further slash to its prefix; `versions` is for noncurrent generations too;
    `only_folders` leaves out everything else.
    """

    prefix: str
    start: str = ""
    end: str = ""
    versions: bool = False
    folders: bool = False
    only_folders: bool = False
    at_once: int = 5000
    """The most on a page: Cloud Storage may give fewer."""

    def query(self) -> dict[str, str]:
        """As the API takes it."""
        items = "" if self.only_folders else f",items({FIELDS})"
        query = {"prefix": self.prefix, "maxResults": str(self.at_once), "projection": "noAcl"}
        query["fields"] = f"nextPageToken{items}{',prefixes' if self.folders else ''}"
        query |= {"startOffset": self.start} if self.start else {}
        query |= {"endOffset": self.end} if self.end else {}
        query |= {"versions": "true"} if self.versions else {}
        query |= {"delimiter": "/"} if self.folders else {}
        return query


async def pages(api: GcsApi, wanted: Wanted) -> AsyncGenerator[tuple[list[Resource], list[str], bool], None]:
    """Generations and prefixes, a page of them at a time, and whether there are more pages."""
    query, token = wanted.query(), ""
    while True:
        page = await api.page(**query, **({"pageToken": token} if token else {}))
        token = page.get("nextPageToken", "")
        yield page.get("items", []), page.get("prefixes", []), bool(token)
        if not token:
            return


async def keys(api: GcsApi, wanted: Wanted) -> AsyncGenerator[tuple[str, list[Resource]], None]:
    """In the bucket's order: each object with its generations, each prefix with none."""
    held: tuple[str, list[Resource]] | None = None  # its further generations may be on the next page
    async for items, prefixes, _ in pages(api, wanted):
        found: dict[str, list[Resource]] = {prefix: [] for prefix in prefixes}
        for item in items:
            found.setdefault(str(item["name"]), []).append(item)
        if held is not None and held[0] in found:
            found[held[0]] = [*held[1], *found[held[0]]]
        elif held is not None:
            yield held
        held = None
        ordered = sorted(found.items())  # as by UTF-8 bytes
        for key, generations in ordered[:-1]:
            yield key, generations
        if ordered:
            held = ordered[-1]
    if held is not None:
        yield held
