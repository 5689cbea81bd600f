"""What was found in this field, tried at the sign-in at a provider: redirects, cookies, and signing out."""

import re
from collections.abc import AsyncIterator, Iterator

import pytest
from yarl import URL

from tests.integration.attacked_hub import asked, raw
from tests.integration.browser_addresses import ELSEWHERE, as_user_name, host_of, in_query
from tests.integration.oidc_hub import USERS, OidcBrowser, OidcHub, oidc_browser, oidc_hub

pytestmark = [pytest.mark.lab("proxy", "oidc-provider")]
_STATE = "devplatform-sign-in"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OidcHub]:
    with oidc_hub(tmp_path_factory.mktemp("attacked")) as hub:
        hub.provider.person("alice", groups=[USERS])
        hub.provider.person("mallory", groups=[USERS])
        yield hub


@pytest.fixture
async def tab(hub: OidcHub) -> AsyncIterator[OidcBrowser]:
    async with oidc_browser(hub) as tab:
        yield tab


def state_of(tab: OidcBrowser) -> str:
    """The state cookie of this browser's sign-in, as it sends it."""
    kept = tab.session.cookie_jar.filter_cookies(URL(tab.origin + "/hub/oauth_callback"))
    return f"{_STATE}={kept[_STATE].coded_value}"


@pytest.mark.parametrize("kind", [*ELSEWHERE, *as_user_name("http://x")])
async def test_no_sign_in_at_a_provider_leads_elsewhere(hub: OidcHub, tab: OidcBrowser, kind: str) -> None:
    """CVE-2026-33709 and CVE-2019-10255 (anchors, rows 14 and 15): after the way back, and when signed in already."""
    following = in_query({**ELSEWHERE, **as_user_name(hub.origin)}[kind])
    seen = [await tab.sign_in_at_provider("alice", following)]
    assert seen[0].status == 302
    seen += [await tab.get(f"{path}?next={following}", follow=False) for path in ("/hub/login", "/hub/")]
    ours = hub.origin.removeprefix("http://")
    for location in (page.headers["Location"] for page in seen):
        assert host_of(location, f"{hub.origin}/hub/oauth_callback") == ours, location


@pytest.mark.parametrize("rubbish", ["x", '"2|1:0|10:0|1:x|4:eA==|00"', ""])
async def test_a_state_that_somebody_else_set_keeps_nobody_out(hub: OidcHub, tab: OidcBrowser, rubbish: str) -> None:
    """CVE-2024-28233 (anchors, row 17): a server on this host sets the cookie for another path, in vain."""
    for order in (1, -1):
        path = (await tab.to_provider("alice")).removeprefix(hub.origin)
        cookies = "; ".join([f"{_STATE}={rubbish}", state_of(tab)][::order])
        assert (await raw(hub.origin, "GET", path, cookies)).status == 302
        assert (await raw(hub.origin, "GET", path, f"{_STATE}={rubbish}")).status == 403


async def test_a_state_of_another_sign_in_is_not_taken_for_ones_own(hub: OidcHub, tab: OidcBrowser) -> None:
    """CVE-2024-28233 (anchors, row 17): with a valid state of somebody else's beside it, one's own still counts."""
    path = (await tab.to_provider("alice")).removeprefix(hub.origin)
    async with oidc_browser(hub) as other:
        theirs = (await other.to_provider("mallory")).removeprefix(hub.origin)
        state = re.findall(r"state=[^&]+", theirs)[0]
        both = f"{state_of(tab)}; {state_of(other)}"
        mixed = await raw(hub.origin, "GET", re.sub(r"state=[^&]+", state, path), both)
        assert mixed.status == 403  # the verifier and the nonce are of the other sign-in
        assert (await raw(hub.origin, "GET", theirs, state_of(tab))).status == 403
    path = (await tab.to_provider("alice")).removeprefix(hub.origin)
    assert (await raw(hub.origin, "GET", path, both.replace(both.partition(";")[0], state_of(tab)))).status == 302


async def test_over_https_no_other_host_can_set_the_state(hub: OidcHub) -> None:
    """CVE-2024-28233 (anchors, row 17): `__Host-`, for the whole host, secure, and out of reach of scripts."""
    page = await raw(hub.origin, "GET", "/hub/oauth_login", headers={"X-Scheme": "https"})
    (cookie,) = (line for line in page.headers["Set-Cookie"].splitlines() if _STATE in line)
    assert re.fullmatch(rf"__Host-{_STATE}=[^;]+; HttpOnly; Path=/; SameSite=Lax; Secure", cookie), cookie


async def test_another_site_signs_nobody_out_at_the_provider(hub: OidcHub, tab: OidcBrowser) -> None:
    """CVE-2026-40864 (anchors, row 13): an image or a link elsewhere ends no session, here or there."""
    await tab.sign_in_at_provider("alice")
    for mode in ("no-cors", "navigate"):
        page = await asked(tab, "GET", "/hub/logout", headers={"Sec-Fetch-Mode": mode, "Sec-Fetch-Site": "cross-site"})
        assert page.headers["Location"] == "/hub/home"
        assert (await tab.me()) is not None
    page = await asked(tab, "GET", "/hub/logout", headers={"Sec-Fetch-Site": "same-origin"})
    assert page.headers["Location"].startswith(hub.provider.issuer)
    assert (await tab.me()) is None
    # The provider sends people back from its own site, signed out already.
    back = await asked(
        tab, "GET", "/hub/logout", headers={"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "cross-site"}
    )
    assert "You are signed out" in back.words
