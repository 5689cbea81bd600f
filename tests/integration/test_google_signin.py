"""Google's sign-in at a real provider that speaks as Google does: the organisation by `hd`, names without domains."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.oidc_hub import USERS, OidcHub, oidc_browser, oidc_hub

pytestmark = [pytest.mark.lab("proxy", "oidc-provider")]
_GOOGLE = "devplatform_hub.authenticators.google.GoogleAuthenticator"
_TRAITS = {
    "hosted_domain": ["example.com", "partner.com"],
    "stripped_domains": ["example.com", "partner.com"],
    "directory_class": "devplatform_hub.directory.claims.ClaimsGroupDirectory",
    "extra_authorize_params": {"access_type": "offline", "prompt": "consent", "hd": "*"},
}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OidcHub]:
    with oidc_hub(tmp_path_factory.mktemp("google"), _TRAITS, _GOOGLE) as hub:
        yield hub


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        pytest.param({}, "domain-refused", id="a consumer account with an address of the organisation"),
        pytest.param({"hd": "evil.com"}, "domain-refused", id="another organisation"),
        pytest.param({"hd": None}, "domain-refused", id="null"),
        pytest.param({"hd": "example.com", "email_verified": False}, "email-unverified", id="unverified"),
    ],
)
async def test_who_is_not_of_the_organisation(hub: OidcHub, claims: dict[str, Any], code: str) -> None:
    """CVE-2024-29033: the address alone proves nothing."""
    hub.provider.person("mallory", email="boss@example.com", groups=[USERS], **claims)
    async with oidc_browser(hub) as tab:
        page = await tab.sign_in_at_provider("mallory")
        assert (page.status, f"Code: {code}" in page.words) == (403, True)
        assert (await tab.me()) is None


async def test_two_people_whose_names_become_equal(hub: OidcHub) -> None:
    """The second is refused, also when both arrive at the same moment, and gets nothing of the first."""
    hub.provider.person("first", email="alice@example.com", hd="example.com", groups=[USERS])
    hub.provider.person("second", email="alice@partner.com", hd="partner.com", groups=[USERS])
    async with oidc_browser(hub) as one, oidc_browser(hub) as other:
        backs = await asyncio.gather(one.to_provider("first"), other.to_provider("second"))
        pages = await asyncio.gather(one.back(backs[0]), other.back(backs[1]))
        assert sorted(page.status for page in pages) == [302, 403]
        models = [await tab.me() for tab in (one, other)]
        assert sorted(model["name"] for model in models if model) == ["alice"]
        assert [page.status for page, model in zip(pages, models, strict=True) if model] == [302]


async def test_who_leaves_the_organisation_is_put_out(hub: OidcHub) -> None:
    """Google's word counts at every refresh."""
    hub.provider.person("carol", hd="example.com", groups=[USERS])
    async with oidc_browser(hub) as tab:
        assert (await tab.sign_in_at_provider("carol")).status == 302
        me = await tab.me()
        assert me is not None
        assert me["name"] == "carol"
        hub.provider.person("carol", hd="elsewhere.com", groups=[USERS])
        await asyncio.sleep(1.2)
        assert (await tab.me()) is None
    revoked = [event for event in hub.audit() if event["action"] == "person.revoke" and event["target"] == "carol"]
    assert [event["why"] for event in revoked] == [
        "is refused: Your account does not belong to example.com or partner.com."
    ]
