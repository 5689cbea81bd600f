"""What happens to generations: written, replaced, deleted, copied, composed, moved, restored. No HTTP here.

Every method is one step: nothing else happens between the check of a precondition and the change.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .bucket import Bucket
from .clock import SECOND, Clock
from .errors import ApiError, forbidden, invalid, no_bucket, no_object, not_found
from .generations import NO_DETAILS, Generation, hashes
from .ledger import Ledger
from .preconditions import NONE, Preconditions

MOST_SOURCES = 32


@dataclass(frozen=True, slots=True)
class Place:
    """An object's address, with a generation where one is meant; `must` is what has to be true of it."""

    bucket: Bucket
    name: str
    generation: int | None = None
    must: Preconditions = NONE


@dataclass
class Store:
    """All buckets. `move_keeps_source`: objects.move leaves a noncurrent version in a versioned bucket.

    Google's reference only says that the source "is deleted"; nobody here has seen a real bucket do it.
    `limits_rate`: a name takes one change a second, as documented (cloud.google.com/storage/quotas#objects); off,
    because the real limit lets bursts through and nobody knows which.
    """

    clock: Clock
    ledger: Ledger = field(default_factory=Ledger)
    buckets: dict[str, Bucket] = field(default_factory=dict)
    move_keeps_source: bool = True
    limits_rate: bool = False
    last: int = 0

    def bucket(self, name: str) -> Bucket:
        """Raises ApiError (404)."""
        if name not in self.buckets:
            raise no_bucket(name)
        return self.buckets[name]

    def number(self) -> tuple[int, int]:
        """The next generation and the time: the time in microseconds, and always higher than the one before."""
        now = self.clock.now()
        self.last = max(now, self.last + 1)
        # One integer serves for both where they are equal: a million generations are smaller by 30 MB.
        return self.last, self.last if self.last == now else now

    def get(self, place: Place) -> Generation:
        """Raises ApiError: 404, or what a precondition says."""
        found = place.bucket.find(place.name, place.generation)
        if found is None:
            raise no_object(place.bucket.name, place.name)
        place.must.check(found)
        return found

    def write(self, place: Place, body: bytes, details: Mapping[str, Any], storage_class: str | None) -> Generation:
        """A new live generation. Raises ApiError: 412, 304, or 403 where a hold is on the live one."""
        check_name(place.name)
        crc, md5 = hashes(body)
        new = Generation(
            number=0,
            created=0,
            body=body,
            size=len(body),
            crc=crc,
            md5=md5,
            storage_class=storage_class or place.bucket.storage_class,
            details=details,
            updated=0,
        )
        return self._put(place, new)

    def delete(self, place: Place) -> None:
        """Without a generation: the live one becomes noncurrent where the bucket is versioned. With one: it is gone.

        gcsfuse asks for generation 0, and its code says that it means the live one.
        """
        found = self.get(place)
        check_hold(place.bucket, place.name, found)
        now = self.clock.now()
        self._check_rate(place, now)
        if place.bucket.versioned and not place.generation:
            found.deleted = now
        else:
            self.remove(place.bucket, place.name, found, now)

    def copy(
        self, source: Place, to: Place, details: Mapping[str, Any] | None, storage_class: str | None
    ) -> Generation:
        """A new generation with the same content; the metadata too, unless others are given.

        The class is the destination bucket's, unless one is given: a restored Nearline version is Standard again.
        """
        origin = self.get(source)
        check_name(to.name)
        new = replace(
            origin,
            details=_copied(origin.details) if details is None else details,
            storage_class=storage_class or to.bucket.storage_class,
        )
        return self._put(to, new)

    def compose(
        self, sources: list[Place], to: Place, details: Mapping[str, Any], storage_class: str | None
    ) -> Generation:
        """A new generation of the sources' content, one after another; it has no MD5."""
        if not 1 <= len(sources) <= MOST_SOURCES:
            raise invalid(f"The number of source components must be between 1 and {MOST_SOURCES}.")
        parts = [self.get(source) for source in sources]
        count = sum(int(part.details.get("componentCount", 1)) for part in parts)
        return self.join(to, [part.content() for part in parts], {**details, "componentCount": count}, storage_class)

    def join(self, to: Place, parts: list[bytes], details: Mapping[str, Any], storage_class: str | None) -> Generation:
        """A new generation of several parts; nobody has its MD5."""
        check_name(to.name)
        body = b"".join(parts)
        new = Generation(
            number=0,
            created=0,
            body=body,
            size=len(body),
            crc=hashes(body)[0],
            md5=None,
            storage_class=storage_class or to.bucket.storage_class,
            details=details,
            updated=0,
        )
        return self._put(to, new)

    def move(self, source: Place, to: Place) -> Generation:
        """The destination in the source's place, in one step, without soft deletion and early-deletion fee."""
        origin = self.get(source)
        if source.name == to.name:
            raise invalid("The source and destination object names must be different.")
        check_name(to.name)
        check_hold(source.bucket, source.name, origin)
        made = self._put(to, replace(origin, details=origin.details))
        if source.bucket.versioned and self.move_keeps_source and origin.deleted is None:
            origin.deleted = made.created
        else:
            source.bucket.drop(source.name, origin)
        return made

    def restore(self, place: Place) -> Generation:
        """A soft-deleted generation as a new live one; it stays soft-deleted until it ends."""
        bucket, name = place.bucket, place.name
        bucket.expire(self.clock.now())
        found = next((s for s in bucket.soft.get(name, ()) if s.generation.number == place.generation), None)
        if found is None:
            raise not_found(f"No such soft-deleted object: {bucket.name}/{name}")
        return self._put(place, replace(found.generation))

    def remove(self, bucket: Bucket, name: str, generation: Generation, now: int) -> None:
        """It leaves the bucket, into soft deletion where that is on."""
        bucket.drop(name, generation)
        self.ledger.removed(bucket.name, name, generation, now)
        bucket.soft_delete(name, generation, now)

    def _check_rate(self, place: Place, now: int) -> None:
        versions = place.bucket.versions.get(place.name)
        if self.limits_rate and versions and now < max(versions[-1].updated, versions[-1].deleted or 0) + SECOND:
            what = f"The object {place.bucket.name}/{place.name} exceeded the rate limit for object mutation operations"
            raise ApiError(429, "rateLimitExceeded", f"{what} (create, update, and delete).", "SlowDown")

    def _put(self, place: Place, new: Generation) -> Generation:
        """Number it, and make it the live one. `new` has its content, details and class."""
        bucket, name = place.bucket, place.name
        live = bucket.live(name)
        place.must.check(live)
        number, now = self.number()
        self._check_rate(place, now)
        if live is not None:
            check_hold(bucket, name, live)
            if bucket.versioned:
                live.deleted = now
            else:
                self.remove(bucket, name, live, now)
        new.number, new.created, new.updated, new.metageneration, new.deleted = number, now, now, 1, None
        bucket.add(name, new)
        return new


def check_name(name: str) -> None:
    """Raises ApiError (400) for what cannot be an object's name (cloud.google.com/storage/docs/objects#naming)."""
    if not 1 <= len(name.encode("utf-8", "surrogatepass")) <= 1024:
        raise invalid("The specified object name is not between 1 and 1024 bytes long.", code="InvalidObjectName")
    if any(0xD800 <= ord(one) <= 0xDFFF for one in name):
        raise invalid("Object names must be valid UTF-8.", code="InvalidObjectName")
    if "\n" in name or "\r" in name or name in (".", "..") or name.startswith(".well-known/acme-challenge/"):
        raise invalid(f"Disallowed object name: {name!r}", code="InvalidObjectName")


def check_hold(bucket: Bucket, name: str, one: Generation) -> None:
    """Raises ApiError (403) where a hold is on it."""
    if one.held:
        raise _held(bucket.name, name, one.held)


def _held(bucket: str, name: str, kind: str) -> ApiError:
    message = (
        f"Object '{bucket}/{name}' is under active {kind} hold and cannot be deleted, overwritten or archived until"
        " hold is removed."
    )
    return forbidden(message, "ObjectUnderActiveHold")


def _copied(details: Mapping[str, Any]) -> Mapping[str, Any]:
    """Metadata of a copy: holds and what belongs to the old generation stay behind."""
    own = ("temporaryHold", "eventBasedHold", "timeStorageClassUpdated")
    if any(name in details for name in own):
        return {name: value for name, value in details.items() if name not in own}
    return details or NO_DETAILS
