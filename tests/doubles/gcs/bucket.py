"""One bucket: its settings, and what it holds, in the order of names and then of generations."""

from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .clock import SECOND
from .generations import Generation


@dataclass(slots=True, eq=False)
class SoftDeleted:
    """A removed generation that can be restored until `until`."""

    generation: Generation
    at: int
    until: int


@dataclass(slots=True, eq=False)
class Multipart:
    """A multipart upload of the XML API that is under way; `parts` by number."""

    name: str
    details: Mapping[str, Any]
    storage_class: str | None
    begun: int
    parts: dict[int, bytes] = field(default_factory=dict)


@dataclass(eq=False)
class Bucket:
    """`config` is the bucket's resource as the JSON API shows it, without what is computed."""

    name: str
    created: int
    config: dict[str, Any]
    updated: int = 0
    metageneration: int = 1
    policy: dict[str, Any] = field(default_factory=dict)
    notifications: dict[str, dict[str, Any]] = field(default_factory=dict)
    folders: dict[str, dict[str, Any]] = field(default_factory=dict)
    managed_folders: dict[str, dict[str, Any]] = field(default_factory=dict)
    multiparts: dict[str, Multipart] = field(default_factory=dict)
    versions: dict[str, list[Generation]] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    soft: dict[str, list[SoftDeleted]] = field(default_factory=dict)

    @property
    def versioned(self) -> bool:
        """Whether what is replaced or deleted becomes noncurrent."""
        return bool(self.config.get("versioning", {}).get("enabled"))

    @property
    def hierarchical(self) -> bool:
        """Whether it has a hierarchical namespace."""
        return bool(self.config.get("hierarchicalNamespace", {}).get("enabled"))

    @property
    def storage_class(self) -> str:
        """The class of objects that name none."""
        return str(self.config["storageClass"])

    @property
    def retention(self) -> int:
        """Microseconds for which removed generations can be restored."""
        return int(self.config["softDeletePolicy"]["retentionDurationSeconds"]) * SECOND

    def live(self, name: str) -> Generation | None:
        """The live generation, if there is one."""
        versions = self.versions.get(name)
        return versions[-1] if versions and versions[-1].deleted is None else None

    def find(self, name: str, number: int | None) -> Generation | None:
        """This generation, live or not; 0 and None mean the live one."""
        if not number:
            return self.live(name)
        return next((one for one in self.versions.get(name, ()) if one.number == number), None)

    def add(self, name: str, generation: Generation) -> None:
        """Make it the live one; whoever was that has made way."""
        versions = self.versions.get(name)
        if versions is None:
            insort(self.names, name)
            self.versions[name] = [generation]
        else:
            versions.append(generation)

    def drop(self, name: str, generation: Generation) -> None:
        """Forget it."""
        versions = self.versions[name]
        versions.remove(generation)
        if not versions:
            del self.versions[name]
            del self.names[bisect_left(self.names, name)]

    def soft_delete(self, name: str, generation: Generation, now: int) -> None:
        """Keep what was dropped for as long as the policy says."""
        if self.retention:
            self.soft.setdefault(name, []).append(SoftDeleted(generation, now, now + self.retention))

    def expire(self, now: int) -> None:
        """End what was soft-deleted for long enough."""
        for name in list(self.soft):
            kept = [one for one in self.soft[name] if one.until > now]
            if kept:
                self.soft[name] = kept
            else:
                del self.soft[name]

    def all(self) -> Iterator[tuple[str, Generation]]:
        """Every generation, by name and then by generation."""
        for name in self.names:
            for generation in self.versions[name]:
                yield name, generation
