"""Sign-in at an identity provider: OAuth's code flow by oauthenticator, who it is by `core.claims`, access by groups.

The provider is asked again at every refresh. A token that it refuses means that the person has to sign in anew; a
provider that does not answer, or that refuses the platform itself, is an outage and ends nothing.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from weakref import WeakValueDictionary

from jupyterhub.auth import Authenticator

from ..core.claims import identity_of
from ..core.errors import PublicError
from ..core.identity import Identity
from ..ports import DirectoryUnavailable, GroupDirectory
from ..servicekit import audit
from ..servicekit.addresses import address_of
from .base import Account
from .grants import FreshGrants, Grant
from .id_tokens import IdTokenRefused
from .provider_calls import ProviderRefused, ask
from .provider_settings import ProviderSettings
from .refusals import SignInRefused, provider_unavailable, sign_in_failed
from .sessions import name_of

_UNAUTHORIZED = 401
_SPENT = ("invalid_grant", "bad_refresh_token")
"""A refresh token that is worth nothing any more, as OAuth says it and as GitHub does."""
_NOBODY_YET = "(unknown)"


class ProviderAccessMixin(ProviderSettings):
    """Stands before a class of oauthenticator, whose flow it uses and whose decisions it replaces."""

    issuers: tuple[str, ...] = ()
    """How the provider may name itself; empty where it does not."""
    end_session_url = ""
    """Where it can be asked to sign somebody out."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.grants = FreshGrants()
        self._directory: GroupDirectory | None = None
        self._asking: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @property
    def group_directory(self) -> GroupDirectory:
        """The directory of `directory_class`, made when it is first asked."""
        if self._directory is None:
            self._directory = self.make_directory()
        return self._directory

    def check_allow_config(self) -> None:
        """Raises `ValueError` and `TraitError` that name the setting, of the directory's too."""
        super().check_allow_config()
        _ = self.group_directory

    # What a kind of provider adds.

    def make_directory(self) -> GroupDirectory:
        """The directory, with this authenticator's configuration."""
        made: Any = self.directory_class
        directory: GroupDirectory = made(parent=self)
        return directory

    async def prepare(self) -> None:
        """Find out what is needed to talk to the provider. Raises `DirectoryUnavailable`."""

    async def vouched(self, grant: Grant, nonce: str, *, is_new: bool) -> Mapping[str, Any]:  # noqa: ARG002
        """Claims that the token answer itself proves. Raises `IdTokenRefused`, `DirectoryUnavailable`."""
        return {}

    async def sign_out_query(self, handler: Any, user: Any) -> dict[str, str]:  # noqa: ARG002
        """What `end_session_url` has to be asked with; empty when it cannot be."""
        return {}

    def claims_of_userinfo(self, userinfo: Mapping[str, Any]) -> dict[str, Any]:
        """What the provider says, as OpenID Connect names it."""
        return dict(userinfo)

    # What the mixin wants.

    async def identify(self, handler: Any, data: Any) -> Account:
        """The person who comes back from the provider with a code. Raises `SignInRefused`."""
        remote = address_of(handler.request)
        try:
            await self.prepare()
            params = self.build_access_tokens_request_params(handler, data)
            params.pop("data", None)
            grant = Grant.of_answer(await self.get_token_info(handler, params))
            grant = await self._told(grant.saying(await self.vouched(grant, handler.nonce, is_new=True)))
            identity = identity_of(grant.claims, self.claim_rules)
            identity = replace(identity, username=name_of(handler.db, identity) or identity.username)
            grant = await self._renewable(handler, identity, grant)
        except DirectoryUnavailable as error:
            self.log.warning("Nobody can sign in: %s", error)
            audit.emit("person.sign-in", actor=_NOBODY_YET, outcome="failed", why="provider-unavailable", remote=remote)
            raise provider_unavailable() from None
        except (ProviderRefused, IdTokenRefused) as error:
            self.log.warning("A sign-in failed: %s: %s", _WHAT[type(error)], error)
            audit.emit("person.sign-in", actor=_NOBODY_YET, outcome="refused", why="sign-in-failed", remote=remote)
            raise sign_in_failed() from None
        except PublicError as problem:
            audit.emit("person.sign-in", actor=_NOBODY_YET, outcome="refused", why=problem.code, remote=remote)
            raise SignInRefused(problem) from None
        self.grants.put(identity, grant)
        return Account(identity, auth_state=grant.as_state())

    async def account_of(self, user: Any) -> Account | None:
        """What the provider says of this hub user now; None when it wants them to sign in anew."""
        async with self._asking.setdefault(user.name, asyncio.Lock()):  # two renewals at once would end both
            state = await user.get_auth_state()
            grant = Grant.of_state(state)
            if grant is None:
                if user.encrypted_auth_state is not None and state is None:
                    raise DirectoryUnavailable("their tokens cannot be read: was the hub's crypt key changed?")
                return None
            await self.prepare()
            asked = await self._asked_again(user, grant)
        if asked is None:
            return None
        try:
            identity = replace(identity_of(asked.claims, self.claim_rules), username=user.name)
        except PublicError as problem:
            raise SignInRefused(problem, username=user.name) from None
        self.grants.put(identity, asked)
        return Account(identity, auth_state=asked.as_state())

    async def _asked_again(self, user: Any, grant: Grant) -> Grant | None:
        try:
            return await self._told(grant)
        except ProviderRefused as refused:
            # Not 403: GitHub says so of too many calls, others of a scope that the platform lacks.
            if refused.status != _UNAUTHORIZED and refused.error != "invalid_token":
                raise DirectoryUnavailable(f"the provider refuses to tell who somebody is: {refused}") from None
        except IdTokenRefused:
            return None
        if not grant.refresh_token:
            return None
        try:
            answer = await self.get_token_info(None, self.build_refresh_token_request_params(grant.refresh_token))
        except ProviderRefused as refused:
            if refused.error not in _SPENT:  # such as invalid_client: it is the platform that is refused
                raise DirectoryUnavailable(f"the provider renews no tokens: {refused}") from None
            return None
        renewed = Grant.of_answer(answer, before=grant)
        await user.save_auth_state(renewed.as_state())  # the old refresh token may be spent: lose the new one never
        try:
            if "id_token" in answer:
                renewed = renewed.saying(await self.vouched(renewed, "", is_new=False))
            told = await self._told(renewed)
        except (ProviderRefused, IdTokenRefused) as refused:
            self.log.warning("A renewed token of %s is worth nothing: %s", user.name, refused)
            return None
        await user.save_auth_state(told.as_state())
        return told

    async def _told(self, grant: Grant) -> Grant:
        """With what the userinfo endpoint says now. Raises `IdTokenRefused` when it speaks of somebody else."""
        token = {"access_token": grant.access_token, "token_type": grant.token_type}
        claims = self.claims_of_userinfo(await self.token_to_user(token))
        known = grant.claims.get("sub")
        if not claims.get("sub") or (known and claims["sub"] != known):
            raise IdTokenRefused("userinfo is about another person")
        return grant.saying(claims)

    async def _renewable(self, handler: Any, identity: Identity, grant: Grant) -> Grant:
        """With the refresh token of an earlier sign-in where the provider gives one only the first time."""
        if grant.refresh_token or not self.require_refresh_token:
            return grant
        user = handler.find_user(identity.username)
        kept = Grant.of_state(await user.get_auth_state()) if user else None
        if kept and kept.refresh_token and kept.claims.get("sub") == identity.subject:
            return replace(grant, refresh_token=kept.refresh_token)
        raise DirectoryUnavailable(
            "it gave no refresh token. Most providers want offline_access in `scope`, some "
            "`extra_authorize_params = {'prompt': 'consent'}`; or set require_refresh_token = False"
        )

    # What oauthenticator calls.

    async def httpfetch(self, url: str, *_label: Any, **request: Any) -> Any:
        """Every call of oauthenticator to the provider. Raises `ProviderRefused`, `DirectoryUnavailable`."""
        for name in ("label", "parse_json", "raise_error"):
            request.pop(name, None)
        return await ask(self.http_client, url, **{**self.http_request_kwargs, **request})

    def check_blocked_users(self, username: str, authentication: Any) -> Any:
        """JupyterHub's own check. What a provider's class would look at has been looked at."""
        return Authenticator.check_blocked_users(self, username, authentication)

    def get_handlers(self, app: Any) -> list[tuple[str, Any]]:
        """Our pages in place of oauthenticator's."""
        from .provider_pages import CallbackHandler, SignInHandler, SignOutHandler, ToProviderHandler

        super().get_handlers(app)
        return [
            ("/login", SignInHandler),
            ("/oauth_login", ToProviderHandler),
            ("/oauth_callback", CallbackHandler),
            ("/logout", SignOutHandler),
        ]


_WHAT: dict[type[Exception], str] = {
    ProviderRefused: "the provider refused the code",
    IdTokenRefused: "the ID token is refused",
}
