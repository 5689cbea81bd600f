"""Reading the `limits:` of `profiles.yaml`. `profiles.example.yaml` shows every key."""

import re
from collections.abc import Callable

import yaml

from .folders_yaml import Fields
from .identity import GroupName
from .limits import LimitRule, Quantity
from .quantities import parse_cpu, parse_size
from .yaml_fields import Field, FieldReader, line_of, shown

_QUANTITIES = tuple(quantity.value for quantity in Quantity)
_LIMIT_KEYS = ("allowed_groups", *_QUANTITIES)
_COUNT = re.compile(r"0|[1-9][0-9]{0,3}")


def read_limits(
    reader: FieldReader, field: Field, groups: Callable[[Fields], frozenset[GroupName]]
) -> tuple[LimitRule, ...]:
    """The rules, in the order of the file; every mistake goes to `reader`. `groups` reads `allowed_groups`."""
    nodes = list(reader.items(field.node, "limits"))
    if not nodes and isinstance(field.node, yaml.SequenceNode):
        reader.problem(field.line, "the list of limits is empty", "leave limits out, or write one such as servers: 2")
    found = [(fields, _rule(reader, fields, node, groups)) for node in nodes for fields in [_fields(reader, node)]]
    _check_effects(reader, found)
    return tuple(rule for _, rule in found)


def _fields(reader: FieldReader, node: yaml.Node) -> Fields:
    return reader.fields(node, _LIMIT_KEYS, "a limit")


def _rule(
    reader: FieldReader, fields: Fields, node: yaml.Node, groups: Callable[[Fields], frozenset[GroupName]]
) -> LimitRule:
    if isinstance(node, yaml.MappingNode) and not any(str(key.value) in _QUANTITIES for key, _ in node.value):
        reader.problem(line_of(node), "a limit limits nothing", f"add one of: {', '.join(_QUANTITIES)}")
    return LimitRule(
        allowed_groups=groups(fields),
        servers=reader.amount(fields, "servers", _parse_count("servers")),
        cpu=reader.amount(fields, "cpu", parse_cpu),
        memory=reader.amount(fields, "memory", parse_size),
        gpu=_gpu(reader, fields),
    )


def _gpu(reader: FieldReader, fields: Fields) -> int | None:
    if "gpu" not in fields:
        return None
    field = fields["gpu"]
    if not isinstance(field.node, yaml.MappingNode):
        reader.problem(field.line, "gpu is not a mapping", "write gpu: {count: 1}")
        return None
    inner = reader.fields(field.node, ("count",), "gpu of a limit, which counts every kind,")
    if "count" not in inner:
        reader.problem(field.line, "gpu has no count", "write gpu: {count: 1}")
    return reader.amount(inner, "count", _parse_count("GPUs"))


def _check_effects(reader: FieldReader, found: list[tuple[Fields, LimitRule]]) -> None:
    """The most generous rule counts, so one that gives less than everybody has is never heard of again."""
    for quantity in Quantity:
        given = [
            (fields[quantity.value].line, rule, rule.amount(quantity)) for fields, rule in found if quantity in fields
        ]
        for_all = [(amount, line) for line, rule, amount in given if amount is not None and not rule.allowed_groups]
        if not for_all:
            continue
        most, where = max(for_all, key=lambda one: one[0])
        for line, _, amount in given:
            if amount is not None and amount < most:
                reader.problem(
                    line,
                    f"this limit of {quantity.value} has no effect, as everybody has more by line {where}",
                    "give everybody the least, and groups more",
                )


def _parse_count(what: str) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not _COUNT.fullmatch(text):
            raise ValueError(f"{shown(text)} is not a number of {what}; write a whole number from 0 to 9999")
        return int(text)

    return parse
