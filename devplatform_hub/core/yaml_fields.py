"""Reading YAML by line: every value with the place it stands in, every mistake collected for one message."""

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import yaml

from .quantities import parse_duration

Value = TypeVar("Value")
_MAX_DEPTH = 20  # composing a node is recursive
_MAX_SHOWN = 60  # characters of what somebody wrote, in a message


@dataclass(frozen=True, slots=True)
class Field:
    """One key of a mapping, with the line it stands in."""

    line: int
    node: yaml.Node


class FieldReader:
    """Base of a reader of one kind of file. `problems` has a line `source:line: what is wrong; what would be right.`"""

    max_bytes = 256 * 1024
    when_too_large = "describe fewer profiles"
    when_empty = "start it with profiles:"

    def __init__(self, source: str) -> None:
        self._found: list[tuple[int, str]] = []
        self._source = source

    @property
    def problems(self) -> list[str]:
        """Every mistake found so far, in the order of the file."""
        return [text for _, text in sorted(self._found, key=lambda found: found[0])]

    def compose(self, text: str) -> yaml.Node | None:
        if len(text.encode("utf-8", "replace")) > self.max_bytes:
            self.problem(1, f"the file is larger than {self.max_bytes // 1024} KB", self.when_too_large)
            return None
        try:
            if not self._is_bounded(text):
                return None
            root = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            position = getattr(error, "position", 0)  # of a character that no YAML file may have
            line = mark.line + 1 if mark else text.count("\n", 0, position) + 1
            what = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be read"
            self.problem(line, f"this is not YAML: {what}", "check indentation, colons and quotes")
            return None
        if root is None:
            self.problem(1, "the file is empty", self.when_empty)
        return root

    def _is_bounded(self, text: str) -> bool:
        depth = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):  # also what a "billion laughs" file is made of
                self.problem(line_of(event), "aliases (*name) are not read", "write the value out")
                return False
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _MAX_DEPTH:
                self.problem(line_of(event), f"values are nested deeper than {_MAX_DEPTH}", "write fewer brackets")
                return False
        return True

    def text(self, fields: Mapping[str, Field], key: str) -> str | None:
        if key not in fields:
            return None
        node = fields[key].node
        if not isinstance(node, yaml.ScalarNode) or node.tag == "tag:yaml.org,2002:null":
            self.problem(fields[key].line, f"{key} is not text", f"write {key}: some words")
            return None
        return str(node.value)

    def flag(self, fields: Mapping[str, Field], key: str) -> bool:
        if key not in fields:
            return False
        node = fields[key].node
        if node.tag != "tag:yaml.org,2002:bool":
            self.problem(fields[key].line, f"{key} is neither true nor false", f"write {key}: true")
            return False
        return bool(yaml.SafeLoader.bool_values[node.value.lower()])

    def amount(self, fields: Mapping[str, Field], key: str, parse: Callable[[str], Value]) -> Value | None:
        text = self.text(fields, key)
        if text is None:
            return None
        try:
            return parse(text)
        except ValueError as error:
            wrong, _, right = str(error).rpartition("; ")  # what somebody wrote may hold one too
            self.problem(fields[key].line, f"{key}: {wrong}", right)
            return None

    def limit(self, fields: Mapping[str, Field], key: str, default: int | None) -> int | None:
        if key not in fields:
            return default
        node = fields[key].node
        if isinstance(node, yaml.ScalarNode) and node.value == "never":
            return None
        return self.amount(fields, key, parse_duration)

    # Shapes.

    def fields(self, node: yaml.Node, known: tuple[str, ...], what: str) -> dict[str, Field]:
        if not isinstance(node, yaml.MappingNode):
            self.problem(line_of(node), f"{what} is not a mapping", f"write keys such as {known[0]}:")
            return {}
        fields: dict[str, Field] = {}
        for key, value in node.value:
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else None
            if name is None:
                self.problem(line_of(key), f"{what} has a key that is not text", f"the keys are: {', '.join(known)}")
            elif name not in known:
                close = difflib.get_close_matches(name, known, 1)
                right = f"did you mean {close[0]!r}?" if close else f"the keys are: {', '.join(known)}"
                self.problem(line_of(key), f"{what} has no key {shown(name)}", right)
            elif name in fields:
                self.twice(line_of(key), name, fields[name].line)
            else:
                fields[name] = Field(line_of(key), value)
        return fields

    def items(self, node: yaml.Node, what: str) -> Iterator[yaml.Node]:
        if isinstance(node, yaml.SequenceNode):
            yield from node.value
        else:
            self.problem(line_of(node), f"{what} is not a list", f"start each entry of {what} with a hyphen")

    def texts(self, field: Field, what: str) -> Iterator[tuple[int, str]]:
        for node in self.items(field.node, what):
            if isinstance(node, yaml.ScalarNode):
                yield line_of(node), str(node.value)
            else:
                self.problem(line_of(node), f"{what} holds something that is not text", "write one name a line")

    def unique(self, named: list[tuple[yaml.Node, str]], what: str) -> None:
        first: dict[str, int] = {}
        for node, name in named:
            if name in first:
                self.problem(
                    line_of(node),
                    f"a second {what} is named {shown(name)}",
                    f"rename it: the {what} in line {first[name]} has that name",
                )
            first.setdefault(name, line_of(node))

    def twice(self, line: int, name: str, first: int) -> None:
        self.problem(line, f"{shown(name)} stands twice", f"keep one of them; the other is in line {first}")

    def problem(self, line: int, wrong: str, right: str) -> None:
        end = "" if right.endswith("?") else "."
        self._found.append((line, f"{self._source}:{line}: {wrong}; {right}{end}"))


def shown(text: str) -> str:
    """`text` in quotes, cut where it is too long for a message, nothing in it but printable characters."""
    return repr(text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}...")


def line_of(node: Any) -> int:
    """The line, counted from 1, that a node starts in."""
    return int(node.start_mark.line) + 1
