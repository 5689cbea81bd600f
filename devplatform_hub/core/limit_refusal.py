"""What somebody is told whose limits leave no room for one more server: which limit, what they have, what to stop."""

from collections.abc import Iterable, Sequence
from itertools import combinations

from .errors import PublicError
from .limits import Limit, PersonLimits, Quantity, Use, left_of, total
from .option_values import said

CODE = "limit-reached"
_MOST_LISTED = 6  # servers in one sentence
_AMOUNTS = (Quantity.CPU, Quantity.MEMORY, Quantity.GPU)


def refusal(limits: PersonLimits, held: Sequence[Use], asked: Use) -> PublicError | None:
    """Why the person who has `held` cannot have `asked` too; None when they can.

    The code is `limit-reached`; the status 409 where stopping servers helps, 403 where nothing does.
    """
    over = limits.over(held, asked)
    if not over:
        return None
    never = limits.over((), asked)
    if never:
        reasons = " ".join(f"{_may_have(limit)}{_needs(limit, asked)}." for limit in never)
        hint = "Choose something smaller, or ask an administrator which group gives more."
        return PublicError(f"{asked.profile} cannot be started. {reasons}", code=CODE, hint=hint, status=403)
    reasons = " ".join(f"{_may_have(limit)}{_needs(limit, asked)}{_left(limit, held)}." for limit in over)
    message = f"{asked.profile} cannot be started now. {reasons} You have {_and([told_of(use) for use in held])}."
    return PublicError(message, code=CODE, hint=_way_out(limits, held, asked), status=409)


def _may_have(limit: Limit) -> str:
    return f"The limit for {limit.why} is {limit.told}"


def _needs(limit: Limit, asked: Use) -> str:
    if limit.quantity is Quantity.SERVERS:
        return ""
    return f"; this server needs {limit.quantity.bare(asked.amount(limit.quantity))}"


def _left(limit: Limit, held: Iterable[Use]) -> str:
    if limit.quantity is Quantity.SERVERS:
        return f"; you have {limit.quantity.bare(total(limit.quantity, held))}"
    left = left_of(limit, held)
    return f" and {limit.quantity.bare(left)} {'is' if left == 1 else 'are'} left" if left else " and none is left"


def _way_out(limits: PersonLimits, held: Sequence[Use], asked: Use) -> str:
    """What to stop so that there is room: any one that is enough, else the fewest that are."""
    staying = [use for use in held if not use.stopping]
    if not limits.over(staying, asked):
        return f"Wait until {_and([name_of(use) for use in held if use.stopping])} has stopped, then try again."
    enough = [
        name_of(use) for use in staying if not limits.over([other for other in staying if other is not use], asked)
    ]
    what = _or(enough) if enough else _and([name_of(use) for use in _fewest(limits, staying, asked)])
    return f"Stop {what} on the page Home, then try again."


def _fewest(limits: PersonLimits, held: Sequence[Use], asked: Use) -> Sequence[Use]:
    if len(held) <= _MOST_LISTED:
        for count in range(2, len(held)):
            for chosen in combinations(held, count):
                if not limits.over([use for use in held if use not in chosen], asked):
                    return chosen
        return held
    # Of many, one after another, the largest first: not always the fewest, but always enough.
    rest = sorted(held, key=lambda use: (-use.gpu, -use.memory, -use.cpu))
    count = next(n for n in range(2, len(rest) + 1) if not limits.over(rest[n:], asked))
    return rest[:count]


def _and(words: Sequence[str]) -> str:
    if len(words) > _MOST_LISTED:
        words = [*words[: _MOST_LISTED - 1], f"{len(words) - _MOST_LISTED + 1} more"]
    return _joined(words, "and")


def _or(words: Sequence[str]) -> str:
    return _joined(words[:_MOST_LISTED], "or")


def _joined(words: Sequence[str], last: str) -> str:
    return f"{', '.join(words[:-1])} {last} {words[-1]}" if len(words) > 1 else "".join(words)


def name_of(use: Use) -> str:
    """The server as its person knows it."""
    return said(use.server) if use.server else "the default server"


def told_of(use: Use) -> str:
    """`'train' (High memory: 4 CPU, 16 GB of memory)`."""
    amounts = ((quantity, use.amount(quantity)) for quantity in _AMOUNTS)
    gives = ", ".join(quantity.told(amount) for quantity, amount in amounts if amount)
    about = ": ".join(part for part in (use.profile, gives) if part)
    about = ", ".join(part for part in (about, "stopping" if use.stopping else "") if part)
    return f"{name_of(use)} ({about})" if about else name_of(use)
