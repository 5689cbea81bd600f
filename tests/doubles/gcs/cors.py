"""Cross-origin rules of a bucket, which the XML API keeps to: for pages that fetch a signed URL themselves.

https://cloud.google.com/storage/docs/cross-origin: the first rule that fits an origin and a method counts.
"""

from typing import Any

from .bucket import Bucket
from .calls import Answer, Call


def preflight(bucket: Bucket, call: Call) -> Answer:
    """The answer to OPTIONS: without headers where no rule fits, so that a browser asks no further."""
    method = call.headers.get("Access-Control-Request-Method", "")
    rule = _rule(bucket, call.headers.get("Origin", ""), method)
    if rule is None:
        return Answer(200)
    wanted = [name.strip() for name in call.headers.get("Access-Control-Request-Headers", "").split(",")]
    allowed = {name.lower() for name in rule.get("responseHeader", [])}
    return Answer(
        200,
        headers=_origin(rule, call)
        | {
            "Access-Control-Allow-Methods": ",".join(rule.get("method", [])),
            "Access-Control-Allow-Headers": ",".join(name for name in wanted if name.lower() in allowed),
            "Access-Control-Max-Age": str(rule.get("maxAgeSeconds", 3600)),
        },
    )


def headers(bucket: Bucket, call: Call) -> dict[str, str]:
    """What goes along with the real answer."""
    rule = _rule(bucket, call.headers.get("Origin", ""), call.method)
    if rule is None:
        return {}
    return _origin(rule, call) | {"Access-Control-Expose-Headers": ",".join(rule.get("responseHeader", []))}


def _rule(bucket: Bucket, origin: str, method: str) -> dict[str, Any] | None:
    for rule in bucket.config.get("cors", []) if origin else []:
        fits = {"*", origin} & set(rule.get("origin", [])) and {"*", method} & set(rule.get("method", []))
        if fits:
            return dict(rule)
    return None


def _origin(rule: dict[str, Any], call: Call) -> dict[str, str]:
    anybody = "*" in rule.get("origin", [])
    return {"Access-Control-Allow-Origin": "*" if anybody else call.headers["Origin"], "Vary": "Origin"}
