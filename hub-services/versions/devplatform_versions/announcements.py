"""Announced uploads, which come from clients: what cannot be meant is refused before anything is granted. Pure."""

import re

from devplatform_hub.core.errors import PublicError

from .model import UploadRequest

SHA256 = re.compile(r"[0-9a-f]{64}")


def check_announcement(request: UploadRequest, most: int) -> None:
    """Raises `PublicError`: `upload-invalid` for a size or a hash that is none, `file-too-large` above `most` bytes."""
    if not SHA256.fullmatch(request.sha256) or request.size < 0:
        raise PublicError(
            "The size or SHA-256 of the file is not valid.",
            code="upload-invalid",
            hint="Send the size in bytes and the SHA-256 as 64 lower-case hexadecimal digits.",
        )
    if request.size > most:
        raise PublicError(
            f"The file has {request.size} bytes, and at most {most} are kept.",
            code="file-too-large",
            hint="Keep it outside the workspace, or ask an administrator for a larger limit.",
            status=413,
        )
