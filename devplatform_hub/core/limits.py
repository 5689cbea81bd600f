"""How much one person may have at once, over all their servers, by rules about groups.

Reading the rules is `core.limits_yaml`, refusing by them `core.limit_refusal`; what a page says of them before
anybody asks is `core.limited_offers`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import fsum

from .access import Access
from .identity import GroupName, display_group
from .quantities import format_cpu, format_size

_DIGITS = 6  # of a core: sums of 0.1 and 0.2 are 0.3


class Quantity(StrEnum):
    """What is limited. The value is the key in `profiles.yaml`."""

    SERVERS = "servers"
    CPU = "cpu"
    MEMORY = "memory"
    GPU = "gpu"

    @property
    def display_name(self) -> str:
        return {"servers": "Servers", "cpu": "CPU", "memory": "Memory", "gpu": "GPUs"}[self.value]

    def bare(self, amount: float) -> str:
        """`amount` beside its name: `2`, `16 GB`."""
        return format_size(int(amount)) if self is Quantity.MEMORY and amount else f"{amount:g}"

    def told(self, amount: float) -> str:
        """`amount` in a sentence: `2 servers`, `4 CPU`, `16 GB of memory`, `no GPU`."""
        if self is Quantity.MEMORY:
            return f"{self.bare(amount)} of memory" if amount else "no memory"
        if self is Quantity.CPU:
            return format_cpu(amount) if amount else "no CPU"
        one = {"servers": "server", "gpu": "GPU"}[self.value]
        return f"{amount:g} {one}{'' if amount == 1 else 's'}" if amount else f"no {one}"


@dataclass(frozen=True, slots=True)
class LimitRule:
    """At most so much at once for members of any of `allowed_groups` (none: for everybody); None says nothing of it.

    `cpu` cores, `memory` bytes, `gpu` GPUs of whatever kind, each over all of a person's servers.
    """

    allowed_groups: frozenset[GroupName] = frozenset()
    servers: int | None = None
    cpu: float | None = None
    memory: int | None = None
    gpu: int | None = None

    def amount(self, quantity: Quantity) -> float | None:
        """What it says of this quantity."""
        amounts = {"servers": self.servers, "cpu": self.cpu, "memory": self.memory, "gpu": self.gpu}
        return amounts[quantity.value]


@dataclass(frozen=True, slots=True)
class Limit:
    """The most that somebody may have of one quantity; `groups` are those of theirs that gave it (none: everybody)."""

    quantity: Quantity
    amount: float
    groups: tuple[GroupName, ...] = ()

    @property
    def why(self) -> str:
        """Whose limit it is: `everybody`, `members of ml-team`."""
        names = " or ".join(display_group(group) for group in self.groups)
        return f"members of {names}" if names else "everybody"

    @property
    def told(self) -> str:
        """`2 servers at once`, `16 GB of memory in all servers together`, `no GPU`."""
        how = " at once" if self.quantity is Quantity.SERVERS else " in all servers together"
        return f"{self.quantity.told(self.amount)}{how if self.amount else ''}"

    @property
    def sentence(self) -> str:
        """For `devplatform explain`: `At most 2 servers at once: the limit for members of ml-team.`"""
        told = f"At most {self.told}" if self.amount else f"N{self.told.removeprefix('n')} at all"
        return f"{told}: the limit for {self.why}."


@dataclass(frozen=True, slots=True)
class Use:
    """What one server holds as long as it runs, starts or stops: what it was planned with.

    `server` is its name ("" is the default one), `profile` that of its profile for people ("" where nothing is known).
    """

    server: str
    profile: str
    cpu: float = 0
    memory: int = 0
    gpu: int = 0
    stopping: bool = False

    def amount(self, quantity: Quantity) -> float:
        """How much it holds of this quantity."""
        return {"servers": 1, "cpu": self.cpu, "memory": self.memory, "gpu": self.gpu}[quantity.value]

    def as_state(self) -> dict[str, object]:
        """For the spawner's state: plain JSON. Under which name the server runs is its row's to say."""
        return {"profile": self.profile, "cpu": self.cpu, "memory": self.memory, "gpu": self.gpu}

    @classmethod
    def from_state(cls, server: str, state: Mapping[str, object], *, stopping: bool = False) -> "Use":
        """What `as_state` gave; a server of which nothing is known is one server all the same."""
        cpu, memory, gpu = (float(str(state.get(key, 0))) for key in ("cpu", "memory", "gpu"))
        return cls(server, str(state.get("profile", "")), cpu, int(memory), int(gpu), stopping)


@dataclass(frozen=True, slots=True)
class PersonLimits:
    """Every limit of one person, at most one for each quantity."""

    limits: tuple[Limit, ...] = ()

    @property
    def sentences(self) -> tuple[str, ...]:
        """One for each limit, with the group that gave it."""
        return tuple(limit.sentence for limit in self.limits)

    def over(self, held: Iterable[Use], asked: Use) -> tuple[Limit, ...]:
        """The limits that `asked` beside `held` would exceed."""
        uses = (*held, asked)
        return tuple(limit for limit in self.limits if total(limit.quantity, uses) > limit.amount)


def limits_of(access: Access, rules: Iterable[LimitRule]) -> PersonLimits:
    """What somebody with these groups may have at once: for each quantity the most generous rule that is about them.

    A rule limits, it opens nothing: so it is about the members of its groups, and about administrators only where
    they are members too. Without any rule about them there is no limit.
    """
    about = [rule for rule in rules if not rule.allowed_groups or rule.allowed_groups & access.groups]
    found = []
    for quantity in Quantity:
        given = [(amount, rule) for rule in about if (amount := rule.amount(quantity)) is not None]
        if given:
            most = max(amount for amount, _ in given)
            best = [rule.allowed_groups for amount, rule in given if amount == most]
            groups = sorted(frozenset().union(*best) & access.groups) if all(best) else []
            found.append(Limit(quantity, most, tuple(groups)))
    return PersonLimits(tuple(found))


def total(quantity: Quantity, uses: Iterable[Use]) -> float:
    """How much these servers hold together."""
    return round(fsum(use.amount(quantity) for use in uses), _DIGITS)


def left_of(limit: Limit, held: Iterable[Use]) -> float:
    """How much of it can still be had; 0 also where more is held than that, as groups and rules change."""
    return max(0, round(limit.amount - total(limit.quantity, held), _DIGITS))
