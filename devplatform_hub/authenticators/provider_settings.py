"""Settings that every sign-in at an identity provider has, and those of its base classes that have no place here."""

import re
from typing import Any
from urllib.parse import urlsplit

from jupyterhub.crypto import CryptKeeper
from traitlets import Bool, List, TraitError, Type, Unicode, default, validate

from ..core.claims import ClaimRules
from ..core.errors import PublicError
from ..core.identity import parse_group
from ..ports import GroupDirectory
from .base import GroupAccessMixin

_DOMAIN = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_OTHER_WAYS_IN = ("allowed_groups", "admin_groups", "allowed_scopes")
_WITHOUT_EFFECT = ("auth_state_groups_key", "modify_auth_state_hook", "refresh_user_hook", "userdata_from_id_token")
_NEEDED = ("client_id", "client_secret")


class ProviderSettings(GroupAccessMixin):
    """Settings shared by Google, Keycloak, GitHub and any other provider. They are checked when the hub starts."""

    other_ways_in: tuple[str, ...] = _OTHER_WAYS_IN
    """Settings of the base class that would let people in past the groups."""
    without_effect: tuple[str, ...] = _WITHOUT_EFFECT
    """Settings of the base class that nothing reads here."""

    group_domain = Unicode(
        config=True, help="The domain of group names that are written without one, such as `example.com`."
    )
    directory_class = Type(
        klass=GroupDirectory,
        config=True,
        help="Where the groups of people come from: a class that is made with this authenticator as its parent.",
    )
    stripped_domains = List(
        Unicode(),
        config=True,
        help="""Domains that are left out of user names: with `example.com`, `alice@example.com` is `alice`. Of two
        people whose names become equal, the second is refused. Changing it later gives everybody a new name.""",
    )
    require_verified_email = Bool(
        True,
        config=True,
        help="Whether the provider has to have verified the e-mail address. It must where names are addresses.",
    )
    require_refresh_token = Bool(
        True,
        config=True,
        help="""Whether a sign-in fails when the provider gives nothing to ask it again with. Without that, everybody
        is signed out and their servers end as soon as their first token does, often after an hour.""",
    )

    def __init__(self, **kwargs: Any) -> None:
        try:
            super().__init__(**kwargs)
        except PublicError as error:  # of the default groups, which nothing validates
            raise TraitError(f"group_domain is needed, such as example.com: {error.message}") from None

    @property
    def provider(self) -> str:
        """Who vouches for people; part of whom a hub user belongs to."""
        raise NotImplementedError

    @property
    def claim_rules(self) -> ClaimRules:
        """How the provider's claims become a person."""
        return ClaimRules(
            provider=self.provider,
            username_claim=self.username_claim,
            verified_email=self.require_verified_email,
            stripped_domains=frozenset(domain.lower() for domain in self.stripped_domains),
        )

    @default("username_claim")
    def _whole_address(self) -> str:
        return "email"

    @default("scope")
    def _who_somebody_is(self) -> list[str]:
        return ["openid", "email", "profile"]

    @default("enable_auth_state")
    def _tokens_are_kept(self) -> bool:
        return True

    @validate("users_group", "admins_group")
    def _is_group(self, proposal: Any) -> Any:
        if "@" not in proposal.value and not self.group_domain:
            raise TraitError(
                f"{proposal.trait.name}: {proposal.value!r} has no domain. Write it as name@example.com, or set "
                "group_domain."
            )
        try:
            parse_group(proposal.value, self.group_domain)
        except PublicError as error:
            raise TraitError(f"{proposal.trait.name}: {error.message} {error.hint}") from None
        return proposal.value

    @validate("group_domain")
    def _is_domain(self, proposal: Any) -> Any:
        domain = proposal.value.strip().lower()
        if domain and not _DOMAIN.fullmatch(domain):
            raise TraitError(f"group_domain: {proposal.value!r} is no domain, such as example.com.")
        return domain

    def check_allow_config(self) -> None:
        """Raises `ValueError` that names the setting which would let in everybody, nobody, or whom nobody meant."""
        super().check_allow_config()
        for name in self.other_ways_in:
            if getattr(self, name):
                raise ValueError(f"{name} has no place here: groups decide who may come in. Remove the setting.")
        for name in self.without_effect:
            if self.is_configured(name):
                raise ValueError(f"{name} has no effect here. Remove the setting.")
        for name in _NEEDED:
            if not getattr(self, name):
                raise ValueError(f"{name} is needed: without it nobody can sign in.")
        if not self.enable_pkce:
            raise ValueError("enable_pkce has to be true: a stolen code would be enough to be somebody.")
        if not self.validate_server_cert:
            raise ValueError(
                "validate_server_cert has to be true: anybody on the way could be anybody. For a certificate "
                "authority of your own set http_request_kwargs = {'ca_certs': '/path/ca.pem'}."
            )
        self._check_names()
        self._check_auth_state()
        for name in ("authorize_url", "token_url", "userdata_url", "oauth_callback_url"):
            if getattr(self, name):
                check_address(name, getattr(self, name))

    def is_configured(self, name: str) -> bool:
        """Whether somebody set this trait, here or for a base class."""
        return any(name in self.config[cls.__name__] for cls in type(self).__mro__ if cls.__name__ in self.config)

    def _check_names(self) -> None:
        if not isinstance(self.username_claim, str) or not self.username_claim:
            raise ValueError("username_claim has to be the name of a claim, such as email.")
        if self.username_claim == "email" and not self.require_verified_email:
            raise ValueError(
                "require_verified_email has to be true where user names are addresses: anybody could claim another's."
            )

    def _check_auth_state(self) -> None:
        if not self.enable_auth_state:
            raise ValueError("enable_auth_state has to be true: without it nobody would ever lose access.")
        if not CryptKeeper.instance().keys:
            raise ValueError(
                "enable_auth_state needs a key: set CryptKeeper.keys or $JUPYTERHUB_CRYPT_KEY to what "
                "`openssl rand -hex 32` prints, the same at every start."
            )


def check_address(name: str, url: str) -> None:
    """Raises `ValueError`, naming the setting, for what is no address with TLS; loopback needs none."""
    parts = urlsplit(url)
    safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    if not safe or not parts.hostname:
        raise ValueError(f"{name} has to be an address with https://, not {url!r}.")
