"""V4 signatures of URLs, checked as https://cloud.google.com/storage/docs/authentication/signatures has it."""

import hashlib
import re
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote

from .accounts import Account, Accounts
from .calls import Call
from .clock import SECOND, micros
from .errors import ApiError, forbidden, invalid

_ALGORITHM = "GOOG4-RSA-SHA256"
_LONGEST = 7 * 24 * 3600


def is_signed(call: Call) -> bool:
    """Whether the URL carries a signature."""
    return "X-Goog-Signature" in call.query


def signer(call: Call, accounts: Accounts, now: int) -> Account:
    """Whose signature it is. Raises ApiError where it is of nobody, too old, or of another request."""
    query = call.query
    if query.get("X-Goog-Algorithm") != _ALGORITHM:
        raise invalid("The algorithm is not supported.", code="InvalidArgument")
    email, _, scope = query.get("X-Goog-Credential", "").partition("/")
    began, seconds = _times(query)
    if not re.fullmatch(r"\d{8}/[\w-]+/storage/goog4_request", scope) or scope[:8] != query["X-Goog-Date"][:8]:
        raise invalid("The credential scope is malformed.", code="InvalidArgument")
    if now > began + seconds * SECOND:
        raise ApiError(400, "invalid", "Invalid argument: the signed URL has expired.", "ExpiredToken")
    if now < began - 15 * 60 * SECOND:
        raise forbidden("The difference between the request time and the server's time is too large.")
    account = accounts.known.get(email)
    text = "\n".join([_ALGORITHM, query["X-Goog-Date"], scope, hashlib.sha256(_canonical(call)).hexdigest()])
    try:
        signature = bytes.fromhex(query["X-Goog-Signature"])
    except ValueError:
        signature = b""
    if account is None or not account.signed(text.encode(), signature):
        message = "Access denied: the request signature we calculated does not match the signature you provided."
        raise forbidden(message, "SignatureDoesNotMatch")
    wanted = call.headers.get("x-goog-content-sha256", "UNSIGNED-PAYLOAD")
    if wanted != "UNSIGNED-PAYLOAD" and wanted != hashlib.sha256(call.body).hexdigest():
        raise invalid("The body does not match the header x-goog-content-sha256.", code="BadDigest")
    return account


def _times(query: dict[str, str]) -> tuple[int, int]:
    try:
        began = datetime.strptime(query["X-Goog-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        seconds = int(query["X-Goog-Expires"])
    except (KeyError, ValueError):
        raise invalid("X-Goog-Date or X-Goog-Expires is missing or malformed.", code="InvalidArgument") from None
    if not 0 < seconds <= _LONGEST:
        raise invalid("X-Goog-Expires must be between 1 and 604800 seconds.", code="InvalidArgument")
    return micros(began), seconds


def _canonical(call: Call) -> bytes:
    names = call.query.get("X-Goog-SignedHeaders", "").split(";")
    present = {name.lower(): " ".join(value.split()) for name, value in call.headers.items()}
    if "host" not in names or any(name not in present for name in names):
        message = "Your request has a malformed header. Header was included in signedheaders, but not in the request."
        raise invalid(message, code="MalformedSecurityHeader")
    if unsigned := [name for name in present if name.startswith("x-goog-") and name not in names]:
        raise invalid(f"The header {unsigned[0]} is in the request, but not signed.", code="MalformedSecurityHeader")
    path, _, query = call.raw.partition("?")
    pairs = sorted(
        f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}"
        for name, value in parse_qsl(query, keep_blank_values=True)
        if name != "X-Goog-Signature"
    )
    headers = "".join(f"{name}:{present[name]}\n" for name in names)
    payload = present.get("x-goog-content-sha256", "UNSIGNED-PAYLOAD")
    return "\n".join([call.method, path, "&".join(pairs), headers, ";".join(names), payload]).encode()
