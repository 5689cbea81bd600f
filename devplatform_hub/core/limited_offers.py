"""What limits leave of what is offered: profiles and choices that do not fit any more, each with the reason."""

from collections.abc import Sequence
from dataclasses import replace

from .limits import Limit, PersonLimits, Quantity, Use, left_of
from .profiles import Capabilities, Choice, ChoiceOffer, Offer, Profile
from .session import SessionPlan


def use_of(plan: SessionPlan, server: str) -> Use:
    """What the server of this name holds when it is started by this plan."""
    return Use(server, plan.display_name, plan.cpu, plan.memory, plan.gpu.count if plan.gpu else 0)


def within(
    offers: Sequence[Offer], limits: PersonLimits, held: Sequence[Use], capabilities: Capabilities
) -> tuple[Offer, ...]:
    """`offers` as somebody sees them who has `held`: what is too much is not available, and says why.

    A profile is too much when the least that its open choices make of it is. Whether a start really fits is decided
    by its plan alone.
    """
    if not limits.limits:
        return tuple(offers)
    rooms = [(limit, left_of(limit, held)) for limit in limits.limits]
    return tuple(_within(offer, rooms, capabilities) if offer.available else offer for offer in offers)


def _within(offer: Offer, rooms: Sequence[tuple[Limit, float]], capabilities: Capabilities) -> Offer:
    def too_much(fixed: Choice | None = None) -> list[str]:
        least = ((limit, left, _least(offer, limit.quantity, capabilities, fixed)) for limit, left in rooms)
        return [_reason(limit, left, amount) for limit, left, amount in least if amount > left]

    reasons = too_much()
    if reasons:
        return replace(offer, reasons=tuple(reasons), limited=True)

    def judged(choice: ChoiceOffer) -> ChoiceOffer:
        reasons = [] if choice.reason else too_much(choice.choice)
        return replace(choice, reason=reasons[0], limited=True) if reasons else choice

    options = tuple(replace(option, choices=tuple(map(judged, option.choices))) for option in offer.options)
    return replace(offer, options=options)


def _least(offer: Offer, quantity: Quantity, capabilities: Capabilities, fixed: Choice | None) -> float:
    """The least of one quantity that the profile gives, with this choice; options count one after another."""
    amount = _given(offer.profile, quantity)
    least = 0.0 if amount is None else amount
    for option in offer.options:
        choices = [one.choice for one in option.choices if not one.reason]
        # Two options may have choices that are equal, so it is looked for as the very same.
        amounts = [_given(choice, quantity) for choice in choices if choice is fixed]
        amounts = amounts or [_given(choice, quantity) for choice in choices]
        least = min((least if amount is None else amount for amount in amounts), default=least)
    most = {Quantity.CPU: capabilities.cpu, Quantity.MEMORY: capabilities.memory}.get(quantity)
    return least if most is None else min(least, most)


def _given(what: Profile | Choice, quantity: Quantity) -> float | None:
    if quantity is Quantity.CPU:
        return what.cpu
    if quantity is Quantity.MEMORY:
        return what.memory
    if quantity is Quantity.GPU:
        return what.gpu.count if what.gpu else None
    return 1


def _reason(limit: Limit, left: float, amount: float) -> str:
    quantity = limit.quantity
    if quantity is Quantity.SERVERS:
        return f"Your limit of {limit.told} is reached." if limit.amount else "You may have no server."
    most = quantity.bare(limit.amount)
    if not limit.amount:
        rest = "you may have none"
    elif amount > limit.amount:
        rest = f"you may have {most} in all your servers together"
    else:
        rest = f"{quantity.bare(left) if left else 'none'} of your {most} {'is' if left <= 1 else 'are'} left"
    return f"Needs {quantity.told(amount)}; {rest}."
