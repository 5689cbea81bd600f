"""Request line in, rule out."""

import re
from collections.abc import Iterable

from .model import Access, Match, Rule
from .table import FAMILIES_REFUSED, TABLE

_VARIABLE = re.compile(r"\{(\w+)(:path)?\}")


def match(method: str, path: str) -> Match | None:
    """The rule for `path` (decoded, relative to the service), or None: what is not in the table is refused.

    HEAD is what GET is. A literal path comes before one with variables, as in the tracking server.
    """
    method = "GET" if method == "HEAD" else method
    normal = _normal(path)
    rule = _LITERAL.get((method, normal))
    if rule:
        return Match(rule, {})
    for pattern, rule in _PATTERNS:
        if method in rule.methods and (found := pattern.fullmatch(normal)):
            return Match(rule, found.groupdict())
    for family, why in FAMILIES_REFUSED:
        if normal == family or normal.startswith(f"{family}/"):
            return Match(Rule((method,), family, Access.REFUSED, why=why), {})
    return None


def _normal(path: str) -> str:
    return "api/" + path.removeprefix("ajax-api/") if path.startswith("ajax-api/") else path


def _pattern(path: str) -> re.Pattern[str]:
    parts, end = [], 0
    for found in _VARIABLE.finditer(path):
        parts.append(re.escape(path[end : found.start()]))
        parts.append(f"(?P<{found[1]}>{'.+' if found[2] else '[^/]+'})")
        end = found.end()
    return re.compile("".join([*parts, re.escape(path[end:])]))


def _literal(rules: Iterable[Rule]) -> dict[tuple[str, str], Rule]:
    return {(method, rule.path): rule for rule in rules if "{" not in rule.path for method in rule.methods}


_LITERAL = _literal(TABLE)
_PATTERNS = tuple((_pattern(rule.path), rule) for rule in TABLE if "{" in rule.path)
