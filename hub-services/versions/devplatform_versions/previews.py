"""Looking at one version: text in the page, notebooks and images in documents of their own where nothing can run."""

from typing import Any

from devplatform_hub.core.errors import PublicError

from .comparing import head_of, preview, too_large
from .handlers import OwnedHandler
from .history import arrange
from .model import Version
from .owned_page import OwnedPage
from .presentation import image_type, kind_of, preview_limit

# A notebook is somebody's HTML: its document has no origin, runs nothing and fetches nothing but our style sheets.
_NOTEBOOK_POLICY = (
    "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox"
)
# `style-src` because SVG is nothing without it; without scripts, fetching or an origin it can do no harm.
_IMAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; sandbox"
_NEIGHBOURS = 200


class ViewPage(OwnedPage):
    """What a version of a file looks like."""

    open_to_visits = True

    async def get(self, owner: str) -> None:
        path = self.file_path()
        version = await self.store.get_version(owner, path, self.optional_generation())
        result: dict[str, Any] = {"kind": kind_of(path)}
        problem: PublicError | None = None
        try:
            if result["kind"] == "image":
                result = await self._image(owner, version)
            elif result["kind"] == "text":
                result = await preview(self.service, owner, version)
            elif version.size > preview_limit("notebook"):
                problem = too_large(version, preview_limit("notebook"))
        except PublicError as error:
            problem = error
        older, newer = await self._neighbours(owner, version)
        self.show(
            "view.html",
            path=path,
            version=version,
            older=older,
            newer=newer,
            result=result,
            problem=problem,
            live_generation=await self.live_generation(path),
        )

    async def _image(self, owner: str, version: Version) -> dict[str, Any]:
        if version.size > preview_limit("image"):
            raise too_large(version, preview_limit("image"))
        if image_type(version.path, await head_of(self.service, owner, version)) is None:
            return await preview(self.service, owner, version)  # it only has the name of an image
        return {"kind": "image"}

    async def _neighbours(self, owner: str, version: Version) -> tuple[Version | None, Version | None]:
        """The versions before and after this one that are not hidden, as far as they are among the newest 200."""
        page = await self.store.list_versions(owner, version.path, limit=_NEIGHBOURS)
        hidden = {row.version.generation for row in arrange(page.items).hidden} - {version.generation}
        contents = [v for v in page.items if not v.tombstone and v.generation not in hidden]
        places = {candidate.generation: place for place, candidate in enumerate(contents)}
        place = places.get(version.generation)
        if place is None:
            return None, None
        return (contents[place + 1] if place + 1 < len(contents) else None), (contents[place - 1] if place else None)


class NotebookFrame(OwnedHandler):
    """A notebook, rendered and sanitised, for the frame in the page."""

    open_to_visits = True

    async def get(self, owner: str) -> None:
        self.set_header("Content-Security-Policy", _NOTEBOOK_POLICY)
        version = await self.store.get_version(owner, self.file_path(), self.optional_generation())
        problem: PublicError | None = None
        result: dict[str, Any] = {"kind": "none"}
        try:
            result = await preview(self.service, owner, version)
        except PublicError as error:
            problem = error
        theme = self.text_argument("theme")
        self.render_page(
            "notebook_frame.html",
            version=version,
            result=result,
            problem=problem,
            theme=theme if theme in ("dark", "light") else None,
        )


class ImageHandler(OwnedHandler):
    """The bytes of an image that a browser can show, and of nothing else."""

    open_to_visits = True

    async def get(self, owner: str) -> None:
        version = await self.store.get_version(owner, self.file_path(), self.optional_generation())
        limit = preview_limit("image")
        if version.size > limit:
            raise too_large(version, limit)
        media_type = image_type(version.path, await head_of(self.service, owner, version))
        if media_type is None:
            raise PublicError(
                "This is not an image that can be shown.", code="not-an-image", hint="Download it instead.", status=415
            )
        self.set_header("Content-Security-Policy", _IMAGE_POLICY)
        self.set_header("Content-Type", media_type)
        self.set_header("Content-Disposition", "inline")
        self.set_header("Content-Length", str(version.size))
        async for chunk in self.service.read(owner, version):
            self.write(chunk)
            await self.flush()
