"""IAM conditions: the part of CEL that Cloud Storage's documentation uses for prefixes.

`resource.name`, `resource.type`, `resource.service`, `api.getAttribute(NAME, DEFAULT)`, `.startsWith()`,
`.endsWith()`, `==`, `!=`, `!`, `&&`, `||`, parentheses. What is not of it is refused when the policy is set.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TypeAlias

from .errors import invalid

Node: TypeAlias = str | tuple[str, list["Node"]]
_TOKEN = re.compile(r"""\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|&&|\|\||==|!=|[A-Za-z_][A-Za-z0-9_.]*|[!().,])""")


@lru_cache(maxsize=256)
def parsed(text: str) -> Node:
    """The condition as a tree. Raises ApiError (400)."""
    tokens, place = [], 0
    while place < len(text.rstrip()):
        match = _TOKEN.match(text, place)
        if match is None:
            raise invalid(f"Condition expression compilation failed: {text}", "condition")
        tokens.append(match[1])
        place = match.end()
    try:
        tree = _either(tokens)
    except IndexError:
        tokens = ["unfinished"]
    if tokens:
        raise invalid(f"Condition expression compilation failed: {text}", "condition")
    return tree


def holds(text: str, values: Mapping[str, str]) -> bool:
    """Whether it is true of these values; attributes of the API are under their own names."""
    return _value(parsed(text), values) is True


def _either(tokens: list[str]) -> Node:
    parts = [_both(tokens)]
    while tokens and tokens[0] == "||":
        tokens.pop(0)
        parts.append(_both(tokens))
    return ("||", parts) if len(parts) > 1 else parts[0]


def _both(tokens: list[str]) -> Node:
    parts = [_compared(tokens)]
    while tokens and tokens[0] == "&&":
        tokens.pop(0)
        parts.append(_compared(tokens))
    return ("&&", parts) if len(parts) > 1 else parts[0]


def _compared(tokens: list[str]) -> Node:
    if tokens[0] == "!":
        tokens.pop(0)
        return ("!", [_compared(tokens)])
    left = _called(tokens)
    if tokens and tokens[0] in ("==", "!="):
        return (tokens.pop(0), [left, _called(tokens)])
    return left


def _called(tokens: list[str]) -> Node:
    """A value, and the methods that are called on it."""
    first = tokens.pop(0)
    node: Node
    if first == "(":
        node = _either(tokens)
        _expect(tokens, ")")
    elif first[0] in "\"'":
        node = ("text", [re.sub(r"\\(.)", r"\1", first[1:-1])])
    else:
        # The dots belong to the name: "resource.name.startsWith".
        name, _, method = first.rpartition(".")
        if tokens and tokens[0] == "(" and name != "api":
            node = (method, [("name", [name]), *_arguments(tokens)])
        else:
            node = (first, _arguments(tokens)) if tokens and tokens[0] == "(" else ("name", [first])
    while tokens and tokens[0] == ".":
        tokens.pop(0)
        node = (tokens.pop(0), [node, *_arguments(tokens)])
    return node


def _arguments(tokens: list[str]) -> list[Node]:
    _expect(tokens, "(")
    found = []
    while tokens[0] != ")":
        found.append(_either(tokens))
        if tokens[0] == ",":
            tokens.pop(0)
    tokens.pop(0)
    return found


def _expect(tokens: list[str], token: str) -> None:
    if tokens.pop(0) != token:
        raise IndexError(token)


def _value(node: Node, values: Mapping[str, str]) -> str | bool:
    assert isinstance(node, tuple)
    what, parts = node
    if what == "||":
        return any(_value(part, values) is True for part in parts)
    if what == "&&":
        return all(_value(part, values) is True for part in parts)
    if what in ("text", "name"):
        text = str(parts[0])
        return text if what == "text" else values.get(text, "")
    found = [_value(part, values) for part in parts]
    if what == "!":
        return found[0] is not True
    if what in ("==", "!="):
        return (found[0] == found[1]) == (what == "==")
    if what == "api.getAttribute" and len(found) == 2:
        return values.get(str(found[0]), str(found[1]))
    if what in ("startsWith", "endsWith") and len(found) == 2:
        left, right = map(str, found)
        return left.startswith(right) if what == "startsWith" else left.endswith(right)
    return False
