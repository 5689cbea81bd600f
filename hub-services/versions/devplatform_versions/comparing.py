"""Getting two versions of a file compared, and one of them shown, within bounds."""

from typing import Any

from devplatform_hub.core.errors import PublicError

from .model import Version
from .presentation import display_size, kind_of, preview_limit
from .rendering.client import Part
from .service import VersionsService
from .wire import time_text

_COMPARED_TEXT = 4 * 2**20


async def compare_as_text(service: VersionsService, owner: str, path: str, a: int, b: int) -> dict[str, Any]:
    """The JSON of the API: `kind`, `unified` or `cells`, `truncated`."""
    old, new = await two_versions(service, owner, path, a, b)
    job = {"as_text": True, "labels": [_label(old), _label(new)]}
    return await _compare(service, owner, old, new, job)


async def compare_for_page(service: VersionsService, owner: str, old: Version, new: Version) -> dict[str, Any]:
    """`rows` or `cells` for a page; see `rendering.text_diff` and `rendering.notebook_diff`."""
    return await _compare(service, owner, old, new, {"as_text": False})


async def two_versions(service: VersionsService, owner: str, path: str, a: int, b: int) -> tuple[Version, Version]:
    """Both versions. Raises `VersionNotFound`."""
    return await service.store.get_version(owner, path, a), await service.store.get_version(owner, path, b)


async def preview(service: VersionsService, owner: str, version: Version) -> dict[str, Any]:
    """What a text or a notebook looks like; of a long text, the beginning."""
    kind = kind_of(version.path)
    limit = preview_limit(kind)
    if kind == "notebook":
        if version.size > limit:
            raise too_large(version, limit)
        return await service.renderer.run({"job": "preview-notebook"}, [_part(service, owner, version, version.size)])
    shown = min(version.size, limit)
    job = {"job": "preview-text", "name": version.path.rpartition("/")[2]}
    answer = await service.renderer.run(job, [_part(service, owner, version, shown)])
    return answer | {"shown": shown}


def too_large(version: Version, limit: int) -> PublicError:
    """What a person sees of a file over a bound."""
    return PublicError(
        f"This file has {display_size(version.size)}, and at most {display_size(limit)} are shown here.",
        code="preview-too-large",
        hint="Download it instead.",
        status=413,
    )


async def _compare(
    service: VersionsService, owner: str, old: Version, new: Version, job: dict[str, Any]
) -> dict[str, Any]:
    limit = preview_limit("notebook") if kind_of(old.path) == "notebook" else _COMPARED_TEXT
    for version in (old, new):
        if version.size > limit:
            # Whether it is text is not worth reading a gigabyte for: the beginning says enough.
            head = await head_of(service, owner, version)
            if b"\0" in head:
                return {"kind": "binary", "truncated": False} if job["as_text"] else {"kind": "binary"}
            raise PublicError(
                f"One version has {display_size(version.size)}, and at most {display_size(limit)} are compared.",
                code="compare-too-large",
                hint="Download both versions and compare them with a program of your own.",
                status=413,
            )
    name = old.path.rpartition("/")[2]
    parts = [_part(service, owner, version, version.size) for version in (old, new)]
    return await service.renderer.run({"job": "compare", "name": name, **job}, parts)


async def head_of(service: VersionsService, owner: str, version: Version, size: int = 4096) -> bytes:
    """The first bytes of a version."""
    head = b""
    async for chunk in service.read(owner, version, start=0, end=min(size, version.size)):
        head += chunk
    return head


def _part(service: VersionsService, owner: str, version: Version, size: int) -> Part:
    return Part(size, service.read(owner, version, start=0, end=size))


def _label(version: Version) -> str:
    return f"{version.path}\t{time_text(version.created)}\t{version.generation}"
