"""Person, thing and owner in; yes, or the refusal with its reason, out."""

from dataclasses import dataclass
from enum import Enum

from devplatform_hub.core.errors import PublicError

from .model import Kind, Target


class Visibility(Enum):
    """Who reads what somebody logged: everybody on the platform, or its owner (and administrators) only."""

    EVERYBODY = "everybody"
    OWNER = "owner"


@dataclass(frozen=True, slots=True)
class Requester:
    """Who asks, as the hub knows them."""

    name: str
    admin: bool = False


def decide(requester: Requester, target: Target, owner: str | None, visibility: Visibility) -> PublicError | None:
    """None when `requester` may do what the target says; the refusal otherwise. `owner` None is nobody."""
    if requester.admin or owner == requester.name:
        return None
    if not target.write and visibility is Visibility.EVERYBODY:
        return None
    kind = Kind.EXPERIMENT if target.kind is Kind.EXPERIMENT_NAME else target.kind
    if not target.write:
        return PublicError(
            f"This {kind.value} is not yours to read." if target.id else "Say whose things you want to read.",
            code="mlflow-private",
            hint="On this platform people read their own experiments and models only.",
            status=403,
        )
    if owner is None:
        return PublicError(
            f"This {kind.value} belongs to nobody, so only administrators change it.",
            code="mlflow-not-yours",
            hint=f'Log to your own experiment: mlflow.set_experiment("people/{requester.name}").',
            status=403,
        )
    return PublicError(
        f"This {kind.value} belongs to {owner}: only they and administrators change it.",
        code="mlflow-not-yours",
        hint=f'Log to your own experiment: mlflow.set_experiment("people/{requester.name}"), or use another name.',
        status=403,
    )
