"""Answers on their way back: which headers stay, and what makes somebody's artifact harmless in a browser."""

import re
from collections.abc import Mapping
from urllib.parse import quote

from .rules import Answer

# Everything else stays behind: cookies, CORS, server names, hop-by-hop headers.
_REQUEST_HEADERS = ("Accept", "Content-Type", "Range", "If-None-Match", "If-Modified-Since", "If-Range")
_RESPONSE_HEADERS = ("Content-Length", "Content-Range", "Accept-Ranges", "ETag", "Last-Modified")
_MEDIA_TYPE = re.compile(r"[a-z]+/[a-z0-9.+-]+")
_HARMLESS = ("image/", "audio/", "video/", "text/plain", "text/csv", "application/json", "application/pdf")
_EXPECTED = {Answer.JSON: "application/json", Answer.TEXT: "text/plain; charset=utf-8"}

FILE_POLICY = "default-src 'none'; sandbox; frame-ancestors 'none'"
# The bundle styles itself at run time and shows artifacts from blobs; scripts come from here only.
UI_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src 'self' blob: data:; media-src 'self' blob:; worker-src 'self' blob:; "
    "frame-src 'self' blob:; manifest-src 'self'; form-action 'self'; base-uri 'none'; object-src 'none'; "
    "frame-ancestors 'none'"
)
ASSET_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".wasm": "application/wasm",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".gif": "image/gif",
    ".jpg": "image/jpeg",
    ".ico": "image/x-icon",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".ttf": "font/ttf",
    ".txt": "text/plain; charset=utf-8",
    ".html": "text/plain; charset=utf-8",
}


def request_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers of a request that go on: no cookie, credential, origin or workspace is among them."""
    return {name: headers[name] for name in _REQUEST_HEADERS if name in headers}


def response_headers(answer: Answer, headers: Mapping[str, str], file_name: str) -> dict[str, str]:
    """The headers of an answer to a person. Files are always downloads, sandboxed, with a harmless type."""
    kept = {name: headers[name] for name in _RESPONSE_HEADERS if name in headers}
    kept["X-Content-Type-Options"] = "nosniff"
    kept["X-Frame-Options"] = "DENY"
    given = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if answer is Answer.FILE:
        harmless = bool(_MEDIA_TYPE.fullmatch(given)) and given.startswith(_HARMLESS)
        kept["Content-Type"] = given if harmless else "application/octet-stream"
        kept["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(file_name or 'artifact', safe='')}"
        kept["Content-Security-Policy"] = FILE_POLICY
    elif answer is Answer.ASSET:
        suffix = file_name[file_name.rfind(".") :].lower() if "." in file_name else ""
        kept["Content-Type"] = ASSET_TYPES.get(suffix, "application/octet-stream")
        kept["Cache-Control"] = "public, max-age=86400"
        kept["Content-Security-Policy"] = FILE_POLICY
    else:
        expected = _EXPECTED.get(answer, "text/html; charset=utf-8")
        # MLflow answers some errors in HTML that repeats the request: here that is text.
        kept["Content-Type"] = expected if expected.startswith(given or "-") else "text/plain; charset=utf-8"
    return kept
