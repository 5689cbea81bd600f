"""Batches: several calls in one multipart/mixed body, each answered for itself."""

from collections.abc import Callable
from email import message_from_bytes
from email.message import Message
from http import HTTPStatus
from urllib.parse import urlsplit

from multidict import CIMultiDict

from .calls import Answer, Call, query_of, segments_of
from .errors import invalid

_MOST = 100
_BOUNDARY = "batch_of_the_double"


def run(call: Call, do: Callable[[Call], Answer]) -> Answer:
    """The answers, in order. Raises ApiError (400) for more than 100 calls."""
    # google-cloud-storage ends lines of the whole with LF and lines of the calls in it with CRLF: mail parsers cope.
    head = f"Content-Type: {call.headers.get('Content-Type', '')}\n\n"
    parts = message_from_bytes(head.encode() + call.body).get_payload()
    if not isinstance(parts, list):
        raise invalid("Failed to parse batch request: it is not multipart.")
    if len(parts) > _MOST:
        raise invalid(f"The batch request has more than {_MOST} calls.")
    made = b""
    for part in parts:
        assert isinstance(part, Message)
        text = part.get_payload(decode=True)
        assert isinstance(text, bytes)
        answer = do(_inner(call, text))
        phrase = HTTPStatus(answer.status).phrase
        lines = [f"HTTP/1.1 {answer.status} {phrase}", *(f"{name}: {value}" for name, value in answer.headers.items())]
        lines.append(f"Content-Length: {len(answer.body)}")
        key = str(part.get("Content-ID", "<>")).replace("<", "<response-", 1)
        made += f"--{_BOUNDARY}\r\nContent-Type: application/http\r\nContent-ID: {key}\r\n\r\n".encode()
        made += "\r\n".join(lines).encode() + b"\r\n\r\n" + answer.body + b"\r\n"
    made += f"--{_BOUNDARY}--\r\n".encode()
    return Answer(200, made, {"Content-Type": f"multipart/mixed; boundary={_BOUNDARY}"})


def _inner(call: Call, text: bytes) -> Call:
    head, _, body = text.replace(b"\r\n", b"\n").partition(b"\n\n")
    first, *lines = head.decode().strip().split("\n")
    method, _, rest = first.partition(" ")
    address = urlsplit(rest.removesuffix(" HTTP/1.1"))
    raw = address.path + (f"?{address.query}" if address.query else "")
    headers = CIMultiDict((name.strip(), value.strip()) for name, _, value in (line.partition(":") for line in lines))
    if "Authorization" in call.headers:
        headers.setdefault("Authorization", call.headers["Authorization"])
    return Call(
        method=method,
        raw=raw,
        segments=segments_of(address.path),
        query=query_of(address.query),
        headers=headers,
        body=body.strip(),
        base=call.base,
        member=call.member,
    )
