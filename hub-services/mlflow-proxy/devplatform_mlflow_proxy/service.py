"""What the handlers share: the tracking server, whose things are, and the edits that an answer needs."""

import json
from collections.abc import Sequence
from typing import Any

import aiohttp

from devplatform_hub.core.errors import PublicError

from .ownership import Ownership, owner_of_tags
from .rules import (
    Body,
    Kind,
    Listing,
    Match,
    Requester,
    Target,
    Visibility,
    decide,
    home_experiments,
)
from .supervisor import TrackingServer
from .upstream import Upstream

_CREATE_EXPERIMENT = "create_experiment"
_MAY_BE_NEW = (Kind.NEW_TRACE, Kind.EXPERIMENT_NAME)
_SMALL_UPLOAD = 11 * 2**20  # MLflow's own limit for it is 10 MiB


class MlflowService:
    """One tracking server with its owners and limits."""

    def __init__(
        self, server: TrackingServer, upstream: Upstream, visibility: Visibility, max_json: int, max_artifact: int
    ) -> None:
        self.server = server
        self.upstream = upstream
        self.visibility = visibility
        self.ownership = Ownership(upstream)
        self._limits = {Body.JSON: max_json, Body.BYTES: _SMALL_UPLOAD, Body.STREAM: max_artifact, Body.NONE: 0}

    def limit_of(self, body: Body) -> int:
        """The most bytes that a request of this form may have."""
        return self._limits[body]

    @staticmethod
    def encode(body: dict[str, Any]) -> bytes:
        """`body` as JSON."""
        return json.dumps(body).encode("ascii")

    async def refusal(self, requester: Requester, targets: Sequence[Target]) -> PublicError | None:
        """Why `requester` may not do this to `targets`, or None. A thing that is not there is a 404."""
        if requester.admin:
            return None
        for target in targets:
            if not target.write and self.visibility is Visibility.EVERYBODY:
                continue
            found = await self.ownership.find(target) if target.id else None
            if found is None and target.kind in _MAY_BE_NEW:
                continue
            if found is None and target.id:
                return PublicError(f"There is no such {target.kind.value}.", code="mlflow-missing", status=404)
            refusal = decide(requester, target, found.owner if found else None, self.visibility)
            if refusal:
                return refusal
        return None

    def notice(self, match: Match, body: dict[str, Any], requester: Requester) -> None:
        """Forget owners that this request may have changed: only an administrator can hand something over."""
        if requester.admin and "tag" in match.rule.path and "key" in body:
            self.ownership.forget_owners()

    def needs_whole_answer(self, match: Match, requester: Requester, body: dict[str, Any], status: int) -> bool:
        """Whether the answer is edited rather than passed on as it comes."""
        if match.rule.rewrite == _CREATE_EXPERIMENT:
            return status == 400 and body.get("name") in home_experiments(requester.name)
        filtered = match.rule.listing is not None and self.visibility is Visibility.OWNER
        return filtered and not requester.admin and status == 200

    async def edit_answer(
        self, match: Match, requester: Requester, body: dict[str, Any], answer: aiohttp.ClientResponse
    ) -> tuple[int, dict[str, Any]]:
        """Status and JSON to answer with, where `needs_whole_answer`."""
        async with answer:
            value = json.loads(await answer.read())
        if match.rule.listing is not None:
            return answer.status, await self._only_own(match.rule.listing, requester, value)
        return await self._own_experiment(requester, str(body["name"]), answer.status, value)

    async def _own_experiment(
        self, requester: Requester, name: str, status: int, value: dict[str, Any]
    ) -> tuple[int, dict[str, Any]]:
        """Creating one's own experiment twice gives the same one: two notebooks that start at once both mean it.

        MLflow's client looks for $MLFLOW_EXPERIMENT_NAME and creates it; the loser of that race would get an error.
        """
        if value.get("error_code") != "RESOURCE_ALREADY_EXISTS":
            return status, value
        found = await self.upstream.get_json("api/2.0/mlflow/experiments/get-by-name", experiment_name=name)
        experiment = (found or {}).get("experiment") or {}
        if owner_of_tags(experiment) != requester.name or experiment.get("lifecycle_stage") != "active":
            return status, value
        return 200, {"experiment_id": experiment["experiment_id"]}

    async def _only_own(self, listing: Listing, requester: Requester, value: dict[str, Any]) -> dict[str, Any]:
        things = value.get(listing.value) or []
        if listing is Listing.MODEL_VERSIONS:
            owners: dict[str, str | None] = {}
            for name in {str(thing.get("name")) for thing in things}:
                found = await self.ownership.find(Target(Kind.REGISTERED_MODEL, name, write=False))
                owners[name] = found.owner if found else None
            kept = [thing for thing in things if owners[str(thing.get("name"))] == requester.name]
        else:
            kept = [thing for thing in things if owner_of_tags(thing) == requester.name]
        return {**value, listing.value: kept}
