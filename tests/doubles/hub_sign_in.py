"""JupyterHub's OAuth client with the hub's answers taken from a table; cookies, scopes and XSRF are the real code."""

from collections.abc import Mapping
from typing import Any

from devplatform_hub.servicekit.identity import HubSignIn


def user_model(
    name: str,
    *,
    service: str = "versions",
    admin: bool = False,
    groups: tuple[str, ...] = (),
    kind: str = "user",
    scopes: tuple[str, ...] = (),
) -> dict[str, Any]:
    """What `GET /hub/api/user` answers for a token that may use `service` ("" for one that may not), with `scopes`."""
    own = [f"access:services!service={service}"] if service else ["read:users:name!user=" + name]
    return {"kind": kind, "name": name, "admin": admin, "groups": list(groups), "scopes": [*own, *scopes]}


class TableSignIn(HubSignIn):
    """`HubSignIn` that knows these tokens: {token: user model}."""

    def __init__(
        self, models: Mapping[str, Mapping[str, Any]], *, service: str = "versions", prefix: str = "/"
    ) -> None:
        super().__init__(
            api_token="the-service-own-token",
            api_url="http://127.0.0.1:9/hub/api",
            hub_prefix="/hub/",
            base_url=prefix,
            oauth_client_id=f"service-{service}",
            access_scopes={f"access:services!service={service}"},
        )
        self._models = dict(models)

    async def _check_hub_authorization(self, url: str, api_token: str, **_: Any) -> Mapping[str, Any] | None:
        model = self._models.get(api_token)
        return dict(model) if model else None
