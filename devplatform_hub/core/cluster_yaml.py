"""Reading the `cluster:` mapping of a profile or a choice. `profiles.example.yaml` shows every key."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

import yaml

from . import cluster_names as names
from .cluster import (
    ClusterSettings,
    FuseTuning,
    GpuDriver,
    GpuNode,
    GpuSharing,
    Placement,
    Storage,
    Toleration,
)
from .folders_yaml import Fields, check_folders, listed, read_bucket, read_mount
from .quantities import format_cpu, format_size, parse_cpu, parse_size
from .yaml_fields import FieldReader, line_of, shown

Value = TypeVar("Value")
Member = TypeVar("Member", bound=StrEnum)

_KEYS = (
    "image",
    "cpu_guarantee",
    "memory_guarantee",
    "gpu_node",
    "shared_memory",
    "node_selector",
    "tolerations",
    "placements",
    "queue",
    "storage",
    "workspace_bucket",
    "buckets",
    "mounts",
    "fuse",
)
_GPU_KEYS = ("accelerator", "driver", "sharing", "clients_per_gpu", "partition")
_TOLERATION_KEYS = ("key", "operator", "value", "effect")
_PLACEMENT_KEYS = ("name", "spot", "accelerator", "zone", "flex_start", "node_selector")
_FUSE_KEYS = ("cpu", "memory", "ephemeral_storage", "implicit_dirs", "metadata_cache", "file_cache")
_OPERATORS = ("Exists", "Equal")
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


@dataclass(frozen=True, slots=True)
class Limits:
    """What the profile, or the choice over it, gives: what a cluster adds has to fit to it."""

    cpu: float
    memory: int
    has_gpu: bool


def read_cluster(reader: FieldReader, fields: Fields, limits: Limits) -> ClusterSettings:
    """The settings under `cluster:` in `fields`; every mistake goes to `reader`."""
    if "cluster" not in fields:
        return ClusterSettings()
    inner = reader.fields(fields["cluster"].node, _KEYS, "cluster")
    settings = ClusterSettings(
        image=reader.amount(inner, "image", names.image_reference),
        cpu_guarantee=reader.amount(inner, "cpu_guarantee", parse_cpu),
        memory_guarantee=reader.amount(inner, "memory_guarantee", parse_size),
        gpu_node=_mapping(reader, inner, "gpu_node", _gpu_node),
        shared_memory=reader.amount(inner, "shared_memory", parse_size),
        node_selector=_labels(reader, inner),
        tolerations=listed(reader, inner, "tolerations", _toleration),
        placements=_placements(reader, inner),
        queue=reader.amount(inner, "queue", names.queue_name),
        storage=_mapping(reader, inner, "storage", _storage),
        workspace_bucket=reader.amount(inner, "workspace_bucket", names.bucket_name),
        buckets=listed(reader, inner, "buckets", read_bucket),
        mounts=listed(reader, inner, "mounts", read_mount),
        fuse=_mapping(reader, inner, "fuse", _fuse),
    )
    _check_limits(reader, inner, settings, limits)
    _check_gpu(reader, inner, settings, limits)
    check_folders(reader, inner, settings)
    return settings


def _gpu_node(reader: FieldReader, node: yaml.Node) -> GpuNode:
    inner = reader.fields(node, _GPU_KEYS, "gpu_node")
    found = GpuNode(
        accelerator=reader.amount(inner, "accelerator", names.label_word) or "",
        driver=_member(reader, inner, "driver", GpuDriver),
        sharing=_member(reader, inner, "sharing", GpuSharing),
        clients_per_gpu=reader.amount(inner, "clients_per_gpu", names.client_count) or 0,
        partition=reader.amount(inner, "partition", names.mig_partition) or "",
    )
    if "clients_per_gpu" in inner and "sharing" not in inner:
        right = f"add sharing: {' or '.join(GpuSharing)}"
        reader.problem(inner["clients_per_gpu"].line, "clients_per_gpu is set, but no sharing is", right)
    return found


def _toleration(reader: FieldReader, node: yaml.Node) -> Toleration:
    inner = reader.fields(node, _TOLERATION_KEYS, "a toleration")
    operator = _word(reader, inner, "operator", _OPERATORS) or "Exists"
    if "key" not in inner and isinstance(node, yaml.MappingNode):
        # Kubernetes takes no key for every taint there is, also those of machines that are failing.
        reader.problem(line_of(node), "a toleration has no key", "add key: with the key of the taint")
    if "value" in inner and operator == "Exists":
        reader.problem(inner["value"].line, "a value is given, but the operator is Exists", "add operator: Equal")
    return Toleration(
        key=reader.amount(inner, "key", names.label_key) or "",
        operator=operator,
        value=reader.amount(inner, "value", names.label_value) or "",
        effect=_word(reader, inner, "effect", _EFFECTS) or "",
    )


def _placements(reader: FieldReader, fields: Fields) -> tuple[Placement, ...] | None:
    placements = listed(reader, fields, "placements", _placement)
    if placements is not None:
        nodes = list(fields["placements"].node.value)
        named = [(node, placement.name) for node, placement in zip(nodes, placements, strict=True) if placement.name]
        reader.unique(named, "placement")
    return placements


def _placement(reader: FieldReader, node: yaml.Node) -> Placement:
    inner = reader.fields(node, _PLACEMENT_KEYS, "a placement")
    if "name" not in inner and isinstance(node, yaml.MappingNode):
        reader.problem(line_of(node), "a placement has no name", "add name: such as spot")
    found = Placement(
        name=reader.amount(inner, "name", names.label_word) or "",
        spot=_flag(reader, inner, "spot"),
        accelerator=reader.amount(inner, "accelerator", names.label_word) or "",
        zone=reader.amount(inner, "zone", names.label_word) or "",
        flex_start=reader.flag(inner, "flex_start"),
        node_selector=_labels(reader, inner) or {},
    )
    if found.flex_start and found.spot:
        reader.problem(inner["flex_start"].line, "flex_start and spot are two kinds of machine", "keep one of them")
    return found


def _storage(reader: FieldReader, node: yaml.Node) -> Storage:
    inner = reader.fields(node, ("size", "class"), "storage")
    return Storage(
        size=reader.amount(inner, "size", names.disk_size),
        storage_class=reader.amount(inner, "class", names.object_name),
    )


def _fuse(reader: FieldReader, node: yaml.Node) -> FuseTuning:
    inner = reader.fields(node, _FUSE_KEYS, "fuse")
    found = FuseTuning(
        cpu=reader.amount(inner, "cpu", parse_cpu),
        memory=reader.amount(inner, "memory", parse_size),
        ephemeral_storage=reader.amount(inner, "ephemeral_storage", parse_size),
        implicit_dirs=_flag(reader, inner, "implicit_dirs"),
        metadata_cache_seconds=reader.amount(inner, "metadata_cache", names.lifetime),
        file_cache=reader.amount(inner, "file_cache", parse_size),
    )
    if found.file_cache and found.ephemeral_storage and found.file_cache > found.ephemeral_storage:
        wrong = (
            f"file_cache: {format_size(found.file_cache)} is above the {format_size(found.ephemeral_storage)} of disk"
        )
        reader.problem(inner["file_cache"].line, wrong, "raise ephemeral_storage, which the cache lies in")
    return found


def _check_limits(reader: FieldReader, fields: Fields, settings: ClusterSettings, limits: Limits) -> None:
    if settings.cpu_guarantee and limits.cpu and settings.cpu_guarantee > limits.cpu:
        wrong = f"cpu_guarantee: {format_cpu(settings.cpu_guarantee)} is above the limit of {format_cpu(limits.cpu)}"
        reader.problem(fields["cpu_guarantee"].line, wrong, "guarantee at most what the limit allows")
    for key, size in (("memory_guarantee", settings.memory_guarantee), ("shared_memory", settings.shared_memory)):
        if size and limits.memory and size > limits.memory:
            wrong = f"{key}: {format_size(size)} is above the limit of {format_size(limits.memory)}"
            reader.problem(fields[key].line, wrong, "give at most what the memory limit allows")


def _check_gpu(reader: FieldReader, fields: Fields, settings: ClusterSettings, limits: Limits) -> None:
    if settings.gpu_node is not None and not limits.has_gpu:
        reader.problem(fields["gpu_node"].line, "gpu_node is set, but there is no GPU", "add gpu: {count: 1}")
    if any(placement.accelerator for placement in settings.placements or ()) and not limits.has_gpu:
        wrong = "a placement names an accelerator, but there is no GPU"
        reader.problem(fields["placements"].line, wrong, "add gpu: {count: 1}")
    if settings.shared_memory and settings.gpu_node and settings.gpu_node.sharing is GpuSharing.MPS:
        wrong = "shared_memory is set, but servers that share a GPU by mps have the machine's"
        reader.problem(fields["shared_memory"].line, wrong, "leave it out")


def _labels(reader: FieldReader, fields: Fields) -> dict[str, str] | None:
    if "node_selector" not in fields:
        return None
    node = fields["node_selector"].node
    if not isinstance(node, yaml.MappingNode):
        reader.problem(line_of(node), "node_selector is not a mapping", "write label: value, one a line")
        return None
    labels: dict[str, str] = {}
    for key, value in node.value:
        name = str(key.value) if isinstance(key, yaml.ScalarNode) else ""
        text = str(value.value) if isinstance(value, yaml.ScalarNode) else "\0"
        try:
            if name in labels:
                reader.twice(line_of(key), name, line_of(node))
            labels[names.label_key(name)] = names.label_value(text)
        except ValueError as error:
            wrong, _, right = str(error).rpartition("; ")
            reader.problem(line_of(key), f"node_selector: {wrong}", right)
    return labels


def _mapping(
    reader: FieldReader, fields: Fields, key: str, read: Callable[[FieldReader, yaml.Node], Value]
) -> Value | None:
    return read(reader, fields[key].node) if key in fields else None


def _flag(reader: FieldReader, fields: Fields, key: str) -> bool | None:
    return reader.flag(fields, key) if key in fields else None


def _word(reader: FieldReader, fields: Fields, key: str, known: tuple[str, ...]) -> str | None:
    text = reader.text(fields, key)
    if text is None or text in known:
        return text
    reader.problem(fields[key].line, f"{key}: {shown(text)} is not one", f"use {' or '.join(known)}")
    return None


def _member(reader: FieldReader, fields: Fields, key: str, kind: type[Member]) -> Member | None:
    word = _word(reader, fields, key, tuple(kind))
    return kind(word) if word else None
