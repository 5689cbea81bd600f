"""Reading what a profile shows as folders: `buckets:`, and `mounts:` of what is in the servers' namespace."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import yaml

from . import cluster_names as names
from .cluster import Bucket, ClusterSettings, Mount
from .names import PEOPLE
from .yaml_fields import Field, FieldReader, line_of, shown

Value = TypeVar("Value")
Fields = Mapping[str, Field]

_BUCKET_KEYS = ("bucket", "path", "only_dir", "read_only")
_SOURCES = ("claim", "config_map", "secret")
_MOUNT_KEYS = ("path", *_SOURCES, "sub_path", "read_only")


def listed(
    reader: FieldReader, fields: Fields, key: str, read: Callable[[FieldReader, yaml.Node], Value]
) -> tuple[Value, ...] | None:
    """What `read` makes of each item of the list under `key`; None where there is no such list."""
    if key not in fields:
        return None
    nodes = list(reader.items(fields[key].node, key))
    if not isinstance(fields[key].node, yaml.SequenceNode):
        return None
    return tuple(read(reader, node) for node in nodes)


def read_bucket(reader: FieldReader, node: yaml.Node) -> Bucket:
    """One item of `buckets:`; every mistake goes to `reader`."""
    inner = reader.fields(node, _BUCKET_KEYS, "a bucket")
    for key, example in (("bucket", "team-data"), ("path", "/mnt/data")):
        if key not in inner and isinstance(node, yaml.MappingNode):
            reader.problem(line_of(node), f"a bucket has no {key}", f"add {key}: such as {example}")
    return Bucket(
        bucket=reader.amount(inner, "bucket", names.bucket_name) or "",
        path=reader.amount(inner, "path", names.mount_path) or "",
        only_dir=reader.amount(inner, "only_dir", names.prefix_in_bucket) or "",
        read_only=_read_only(reader, inner),
    )


def read_mount(reader: FieldReader, node: yaml.Node) -> Mount:
    """One item of `mounts:`; every mistake goes to `reader`."""
    inner = reader.fields(node, _MOUNT_KEYS, "a mount")
    given = [source for source in _SOURCES if source in inner]
    if isinstance(node, yaml.MappingNode):
        if "path" not in inner:
            reader.problem(line_of(node), "a mount has no path", "add path: such as /mnt/data")
        if not given:
            reader.problem(line_of(node), "a mount does not say of what", f"add one of {', '.join(_SOURCES)}")
        elif len(given) > 1:
            reader.problem(line_of(node), f"a mount is of {' and '.join(given)}", "make it a mount each")
    read_only = _read_only(reader, inner)
    if not read_only and given and "claim" not in given:
        reader.problem(inner["read_only"].line, f"a {given[0]} cannot be written to", "leave read_only out")
    return Mount(
        path=reader.amount(inner, "path", names.mount_path) or "",
        claim=reader.amount(inner, "claim", names.object_name) or "",
        config_map=reader.amount(inner, "config_map", names.object_name) or "",
        secret=reader.amount(inner, "secret", names.object_name) or "",
        sub_path=reader.amount(inner, "sub_path", names.path_inside) or "",
        read_only=read_only,
    )


def check_folders(reader: FieldReader, fields: Fields, settings: ClusterSettings) -> None:
    """No two folders are at one path or in one another, and no bucket shows everybody's workspaces."""
    first: dict[str, int] = {}
    kinds: tuple[tuple[str, str, Sequence[Bucket | Mount] | None], ...] = (
        ("buckets", "bucket", settings.buckets),
        ("mounts", "mount", settings.mounts),
    )
    for key, what, found in kinds:
        nodes = fields[key].node.value if found else ()
        for node, folder in zip(nodes, found or (), strict=True):
            if folder.path:  # else it was said already
                _check_path(reader, line_of(node), what, folder.path, first)
                first.setdefault(folder.path, line_of(node))
    if not settings.workspace_bucket or not settings.buckets:
        return
    for node, bucket in zip(fields["buckets"].node.value, settings.buckets, strict=True):
        if bucket.bucket == settings.workspace_bucket and bucket.only_dir.split("/")[0] in ("", PEOPLE):
            wrong = f"{shown(bucket.bucket)} holds the workspaces of everybody"
            reader.problem(line_of(node), wrong, f"name another folder of it with only_dir:, not {PEOPLE}")


def _check_path(reader: FieldReader, line: int, what: str, new: str, first: Mapping[str, int]) -> None:
    for path, there in first.items():
        if path == new:
            reader.problem(line, f"a second {what} is at {shown(new)}", f"choose another; line {there} has it")
        elif f"{new}/".startswith(f"{path}/") or f"{path}/".startswith(f"{new}/"):
            reader.problem(line, f"{shown(new)} and {shown(path)} lie in one another", "put them side by side")


def _read_only(reader: FieldReader, fields: Fields) -> bool:
    return reader.flag(fields, "read_only") if "read_only" in fields else True
