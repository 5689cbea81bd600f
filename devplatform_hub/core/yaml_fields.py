"""Reading YAML by line: every value with the place it stands in, every mistake collected for one message."""

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import yaml

from .quantities import parse_duration

Value = TypeVar("Value")
_MAX_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Field:
    """One key of a mapping, with the line it stands in."""

    line: int
    node: yaml.Node


class FieldReader:
    """Base of a reader of one kind of file. `problems` has a line `source:line: what is wrong; what would be right.`"""

    def __init__(self, source: str) -> None:
        self.problems: list[str] = []
        self._source = source

    def compose(self, text: str) -> yaml.Node | None:
        if len(text.encode("utf-8", "replace")) > _MAX_BYTES:
            self.problem(1, f"the file is larger than {_MAX_BYTES // 1024} KB", "describe fewer profiles")
            return None
        try:
            for event in yaml.parse(text, Loader=yaml.SafeLoader):
                if isinstance(event, yaml.AliasEvent):  # also what a "billion laughs" file is made of
                    self.problem(line_of(event), "aliases (*name) are not read", "write the value out")
                    return None
            root = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            what = getattr(error, "problem", None) or "it cannot be read"
            self.problem(mark.line + 1 if mark else 1, f"this is not YAML: {what}", "check indentation and colons")
            return None
        if root is None:
            self.problem(1, "the file is empty", "start it with profiles:")
        return root

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
            wrong, _, right = str(error).partition("; ")
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
            name = str(key.value)
            if name not in known:
                close = difflib.get_close_matches(name, known, 1)
                right = f"did you mean {close[0]!r}?" if close else f"the keys are: {', '.join(known)}"
                self.problem(line_of(key), f"{what} has no key {name!r}", right)
            elif name in fields:
                self.problem(line_of(key), f"{name!r} stands twice", f"keep the one in line {fields[name].line}")
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
                    line_of(node), f"a second {what} is named {name!r}", f"rename it; line {first[name]} has it"
                )
            first.setdefault(name, line_of(node))

    def problem(self, line: int, wrong: str, right: str) -> None:
        self.problems.append(f"{self._source}:{line}: {wrong}; {right}.".replace("?.", "?"))


def line_of(node: Any) -> int:
    """The line, counted from 1, that a node starts in."""
    return int(node.start_mark.line) + 1
