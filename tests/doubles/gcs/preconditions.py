"""`ifGenerationMatch` and its seven relatives."""

from collections.abc import Mapping
from dataclasses import dataclass

from .errors import invalid, not_modified, unmet
from .generations import Generation


@dataclass(frozen=True, slots=True)
class Preconditions:
    """What a request wants to be true of its target. A generation of 0 stands for "there is none"."""

    generation: int | None = None
    not_generation: int | None = None
    metageneration: int | None = None
    not_metageneration: int | None = None
    of: str = ""

    def check(self, target: Generation | None) -> None:
        """Raises ApiError: 412 for a match that is none, 304 for a "not match" that is one.

        Google's own test server answers 304 to writes too; the reference says of `NotMatch` that it fails where
        there is no live object.
        """
        number = target.number if target else 0
        metageneration = target.metageneration if target else None
        if self.generation is not None and self.generation != number:
            raise unmet(f"if{self.of}GenerationMatch")
        if self.metageneration is not None and self.metageneration != metageneration:
            raise unmet(f"if{self.of}MetagenerationMatch")
        if self.not_generation is not None and (target is None or self.not_generation == number):
            raise not_modified(f"if{self.of}GenerationNotMatch")
        if self.not_metageneration is not None and (target is None or self.not_metageneration == metageneration):
            raise not_modified(f"if{self.of}MetagenerationNotMatch")


NONE = Preconditions()


def of_query(query: Mapping[str, str], of: str = "") -> Preconditions:
    """Those of a JSON request; `of` is "Source" for those of a copy's source. Raises ApiError (400)."""
    if not any(name.startswith("if") for name in query):
        return NONE
    return Preconditions(
        generation=number(query, f"if{of}GenerationMatch"),
        not_generation=number(query, f"if{of}GenerationNotMatch"),
        metageneration=number(query, f"if{of}MetagenerationMatch"),
        not_metageneration=number(query, f"if{of}MetagenerationNotMatch"),
        of=of,
    )


def of_headers(headers: Mapping[str, str]) -> Preconditions:
    """Those of an XML request. Raises ApiError (400)."""
    generation = number(headers, "x-goog-if-generation-match")
    metageneration = number(headers, "x-goog-if-metageneration-match")
    return Preconditions(generation=generation, metageneration=metageneration)


def number(values: Mapping[str, str], name: str) -> int | None:
    """A whole number that a request gives, or None. Raises ApiError (400)."""
    if name not in values:
        return None
    text = values[name]
    # "-1" and the like are no generation; isdigit would let superscripts through.
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise invalid(f"Invalid value for {name}: {text[:40]}", name)
    return int(text)
