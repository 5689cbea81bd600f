"""Where a browser really goes: the parts of https://url.spec.whatwg.org that make an address leave its host."""

import re
from urllib.parse import quote, urlsplit

_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*):")


def host_of(location: str, base: str) -> str:
    """The host, with its port, that a browser at `base` asks for `location`; `scheme:` of what is no web address."""
    text = location.strip("".join(map(chr, range(33))))
    text = re.sub(r"[\t\n\r]", "", text).replace("\\", "/")
    own = urlsplit(base)
    scheme = _SCHEME.match(text)
    if scheme and scheme[1].lower() not in ("http", "https"):
        return f"{scheme[1].lower()}:"
    if scheme:
        text = text[scheme.end() :]
        if scheme[1].lower() == own.scheme and not text.startswith("//"):
            return own.netloc
    elif not text.startswith("//"):
        return own.netloc
    return re.split(r"[/?#]", text.lstrip("/"), maxsplit=1)[0].rpartition("@")[2]


ELSEWHERE = {
    "two slashes": "//evil.example",
    "three slashes": "///evil.example",
    "slash and backslash": "/\\evil.example",
    "backslashes": "\\\\evil.example",
    "absolute": "https://evil.example/",
    "absolute, plain": "http://evil.example/hub/home",
    "scheme without slashes": "https:evil.example",
    "scheme and one slash": "https:/evil.example",
    "script": "javascript:alert(1)",
    "data": "data:text/html,x",
    "tab between slashes": "/\t/evil.example",
    "tab and backslash": "/\t\\evil.example",
    "encoded tab": "/%09/evil.example",
    "encoded slashes": "/%2f%2fevil.example",
    "encoded backslash": "/%5cevil.example",
    "blank before": " //evil.example",
    "tab before": "\t//evil.example",
    "line break": "/\n/evil.example",
    "two slashes in a path": "/hub//evil.example",
    "back from a path": "/hub/..//evil.example",
    "dots before": "/..//evil.example",
}
"""What would lead away from a host, by what it is. With `{host}` for our own host as a user name: `as_user_name`."""


def as_user_name(origin: str) -> dict[str, str]:
    """Addresses that begin like ours."""
    host = urlsplit(origin).netloc
    return {
        "our host as a user": f"http://{host}@evil.example/",
        "our host as a user, no scheme": f"//{host}@evil.example/",
        "our host and a backslash": f"http://{host}\\@evil.example/",
        "our host as the beginning of another": f"http://{host}.evil.example/",
        "our host before two slashes": f"http://{host}//evil.example/",
        "our host, then a tab": f"//{host}/\t/evil.example",
    }


def in_query(text: str) -> str:
    """As the value of an argument."""
    return quote(text, safe="")
