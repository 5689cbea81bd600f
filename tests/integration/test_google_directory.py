"""Google's directory through the real google-auth, against a double that follows the REST reference."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from traitlets import TraitError
from traitlets.config import Config

from devplatform_hub.core.access import AccessRules, decide_access
from devplatform_hub.core.identity import Identity, parse_group
from devplatform_hub.directory.google import GoogleGroupDirectory
from devplatform_hub.directory.google_refusals import GROUPS_SCOPE, SEARCH_SCOPE, USERS_SCOPE
from devplatform_hub.ports import DirectoryUnavailable
from tests.contracts.group_directories import Google, google, google_directory
from tests.doubles.api_server import Fault
from tests.doubles.google_server import ADMIN, CUSTOMER, SERVICE_ACCOUNT, GoogleServer, quota_error

SEARCH = "/v1/groups/-/memberships:searchTransitiveGroups"
GROUPS = "/admin/directory/v1/groups"
USERS = "/admin/directory/v1/users/{key}"
SIGN = "/v1/projects/-/serviceAccounts/{account}:signJwt"


@pytest.fixture
async def source(tmp_path: Path) -> AsyncIterator[Google]:
    async with google(tmp_path) as made:
        yield made


@pytest.fixture
async def walked(tmp_path: Path) -> AsyncIterator[Google]:
    async with google(tmp_path, transitive_search="never", tries=3) as made:
        yield made


async def asked(source: Google, identity: Identity) -> tuple[frozenset[str], dict[str, int]]:
    """The groups of somebody, and the calls that it took."""
    source.later()
    source.server.calls.clear()
    return await source.directory.groups_of(identity), dict(source.server.calls)


# How many calls, and which.


async def test_a_search_is_two_calls(source: Google) -> None:
    """The account and its groups, at the same time; tokens are there from the first sign-in."""
    alice = source.person(1, "alice")
    source.put(alice, "data-team")
    source.nest("data-team", "everybody")
    await source.directory.groups_of(alice)
    source.server.most_at_once = 0
    source.server.delay = 0.05
    groups, calls = await asked(source, alice)
    assert (groups, calls) == (source.expected("data-team", "everybody"), {USERS: 1, SEARCH: 1})
    assert source.server.most_at_once == 2


async def test_one_token_for_everybody_and_no_key(source: Google) -> None:
    """Fifty first sign-ins at once: one signature a scope by the program's identity, in the administrator's name."""
    people = [source.person(number, f"person{number}") for number in range(50)]
    for person in people:
        source.put(person, "data-team")
    await asyncio.gather(*(source.directory.groups_of(person) for person in people))
    assert source.server.calls[SIGN] == 2  # accounts and the search; the scope for groups was not needed
    assert source.server.calls["/token"] == 4
    assert set(source.server.tokens.values()) == {"source", USERS_SCOPE, SEARCH_SCOPE}


async def test_a_pod_with_workload_identity_needs_nothing_else(source: Google, monkeypatch: pytest.MonkeyPatch) -> None:
    """The metadata server of GKE gives the program's identity; no file of any kind is there."""
    host = source.server.url.removeprefix("http://")
    monkeypatch.setattr("google.auth.compute_engine._metadata._GCE_METADATA_HOST", host)
    monkeypatch.setenv("GCE_METADATA_IP", host)
    monkeypatch.setenv("CLOUDSDK_CONFIG", "/nowhere")
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS")
    source.put(alice := source.person(1, "alice"), "data-team")
    assert await source.directory.groups_of(alice) == source.expected("data-team")
    assert source.server.calls["/computeMetadata/v1/{path}"] > 0


async def test_a_federated_identity_works_too(source: Google, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workload Identity Federation, for a hub that runs outside Google: a token from a file is exchanged."""
    (tmp_path / "token").write_text("from another cloud")
    pool = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q"
    configuration = {
        "type": "external_account",
        "audience": pool,
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": f"{source.server.url}/v1/token",
        "credential_source": {"file": str(tmp_path / "token")},
    }
    (tmp_path / "federation.json").write_text(json.dumps(configuration))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "federation.json"))
    source.put(alice := source.person(1, "alice"), "data-team")
    assert await source.directory.groups_of(alice) == source.expected("data-team")
    assert source.server.calls["/v1/token"] > 0


async def test_a_key_file_works_and_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Only when asked for, and the log says what it means."""
    async with google(tmp_path, transitive_search="never") as source:
        key = source.server.key_file(tmp_path)
        directory = google_directory(source.server, key_file=str(key), service_account="", log=logging.getLogger("hub"))
        source.put(alice := source.person(1, "alice"), "data-team")
        try:
            assert await directory.groups_of(alice) == source.expected("data-team")
        finally:
            await directory.close()
        assert source.server.calls[SIGN] == 0
    assert caplog.text.count("key_file is set: whoever reads") == 1
    assert "PRIVATE KEY" not in caplog.text


async def test_the_event_loop_runs_on_while_tokens_come(source: Google) -> None:
    """google-auth blocks a thread of its own and nobody else."""
    source.put(alice := source.person(1, "alice"), "data-team")
    source.server.delay = 0.2
    gaps, running = [], asyncio.get_running_loop()

    async def tick() -> None:
        last = running.time()
        while True:
            await asyncio.sleep(0.005)
            gaps.append(running.time() - last)
            last = running.time()

    ticking = asyncio.ensure_future(tick())
    await source.directory.groups_of(alice)
    ticking.cancel()
    assert len(gaps) > 20
    assert max(gaps) < 2, "something kept the event loop from running"


async def test_groups_above_are_asked_once_for_everybody(walked: Google) -> None:
    """People of the same groups share what is above them, for a minute."""
    for number in range(10):
        walked.nest(f"team-{number}", "everybody")
    people = [walked.person(number, f"person{number}") for number in range(20)]
    for person in people:
        walked.put(person, *(f"team-{number}" for number in range(10)))
    for person in people:
        assert len(await walked.directory.groups_of(person)) == 11
    assert walked.server.calls[GROUPS] == 20 + 11


# When the search is refused.


async def test_an_edition_without_search_is_walked(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The refusal is remembered for this person, and tried again later."""
    async with google(tmp_path, search_retry=10_000.0) as source:
        source.server.has_search = False
        source.put(alice := source.person(1, "alice"), "a")
        source.nest("a", "b")
        first, calls = await asked(source, alice)
        assert (first, calls[SEARCH]) == (source.expected("a", "b"), 1)
        again, calls = await asked(source, alice)
        assert (again, SEARCH in calls) == (first, False)
        for _ in range(3):
            source.later()
        source.server.has_search = True
        third, calls = await asked(source, alice)
        assert (third, calls.get(SEARCH), calls.get(GROUPS)) == (first, 1, None)


async def test_a_scope_that_is_not_granted_is_walked_by_everybody(
    source: Google, caplog: pytest.LogCaptureFixture
) -> None:
    """It says once which scope would make it faster."""
    source.server.granted.discard(SEARCH_SCOPE)
    caplog.set_level(logging.WARNING)
    for number in range(3):
        source.put(person := source.person(number, f"person{number}"), "a")
        assert await source.directory.groups_of(person) == source.expected("a")
    assert SEARCH not in source.server.calls
    assert caplog.text.count(f"the scope {SEARCH_SCOPE} is missing") == 1


async def test_one_group_of_another_company_spoils_no_search(source: Google) -> None:
    """Google refuses a search whose answer nobody may see; within the customer it gives the rest."""
    source.put(alice := source.person(1, "alice"), "data-team")
    source.server.members["vendor@elsewhere.org"] = {str(alice.email)}
    groups, calls = await asked(source, alice)
    assert groups == source.expected("data-team")
    assert GROUPS not in calls
    assert source.server.queries[-1].endswith(f"&& parent == 'customers/{CUSTOMER}'")


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(500, path=SEARCH), id="500"),
        pytest.param(Fault(429, path=SEARCH), id="429"),
        pytest.param(Fault(403, quota_error(403, "quotaExceeded"), path=SEARCH), id="quota"),
        pytest.param(Fault(404, "{}", path=SEARCH), id="404"),
        pytest.param(Fault(302, "", path=SEARCH, headers={"Location": "https://elsewhere.example"}), id="redirect"),
        pytest.param(Fault(200, '{"memberships": [{"group": "groups/1"}]}', path=SEARCH), id="no groupKey"),
        pytest.param(Fault(200, '{"memberships": [{"groupKey": {"id": ""}}]}', path=SEARCH), id="empty id"),
        pytest.param(Fault(200, '{"memberships": [], "nextPageToken": "x"}', path=SEARCH), id="the same page for ever"),
        pytest.param(Fault(200, '{"memberships": [], "nextPageToken": 7}', path=SEARCH), id="a page that is a number"),
        pytest.param(Fault(200, '{"a": "' + "x" * 17 * 2**20 + '"}', path=SEARCH), id="an answer without end"),
    ],
)
async def test_any_other_failure_of_the_search_is_an_outage(source: Google, fault: Fault) -> None:
    """A search that fails is not a reason to walk: that would double the load of a directory that is in trouble."""
    source.put(alice := source.person(1, "alice"), "data-team")
    await source.directory.groups_of(alice)
    source.server.faults.append(fault)
    source.later()
    source.server.calls.clear()
    with pytest.raises(DirectoryUnavailable) as caught:
        await source.directory.groups_of(alice)
    assert GROUPS not in source.server.calls
    assert "alice" not in str(caught.value)


# Who somebody is.


@pytest.mark.parametrize("state", ["suspended", "archived"])
async def test_a_suspended_account_is_in_no_group(source: Google, state: str) -> None:
    """Google leaves suspended people in their groups; here they lose them."""
    source.put(alice := source.person(1, "alice"), "data-team")
    assert await source.directory.groups_of(alice) == source.expected("data-team")
    setattr(source.server.accounts[alice.subject], state, True)
    source.later()
    assert await source.directory.groups_of(alice) == frozenset()


async def test_a_used_address_gives_nothing_to_who_had_it(source: Google) -> None:
    """Alice left, her address went to another Alice: the first one's session has no groups, the second's has hers."""
    source.put(old := source.person(1, "alice"), "admins")
    await source.directory.groups_of(old)
    source.remove(old)
    source.put(new := source.person(2, "alice"), "interns")
    source.later()
    assert await source.directory.groups_of(old) == frozenset()
    assert await source.directory.groups_of(new) == source.expected("interns")


async def test_an_address_that_is_believed_is_that_of_now(source: Google) -> None:
    """Somebody signed in as alice@ and is renamed: what was asked for the old address is thrown away."""
    source.put(alice := source.person(1, "alice"), "data-team")
    await source.directory.groups_of(alice)
    source.server.put(alice.subject, "alice.married@example.com", ["ops@example.com"])
    source.server.put("777", "alice@example.com", ["admins@example.com"])
    groups, calls = await asked(source, alice)
    assert (groups, calls[USERS]) == (source.expected("ops"), 1)
    assert "'alice.married@example.com'" in source.server.queries[-1]


@pytest.mark.parametrize("name", ["a+b", "o'brien", "x&userKey=admin", "50%", "ü", "a/b?c#d"])
async def test_no_name_changes_a_question(tmp_path: Path, name: str) -> None:
    """Addresses are encoded in paths and queries, of people and of groups, however they are written."""
    async with google(tmp_path) as source, google(tmp_path, transitive_search="never") as walked:
        for one in (source, walked):
            one.put(alice := one.person(1, name), "data-team")
            one.server.members[f"{name}@example.com"] = set()
            one.server.nest("data-team@example.com", f"in-{name}@example.com")
            one.server.nest(f"in-{name}@example.com", "top@example.com")
            groups = await one.directory.groups_of(alice)
            assert groups >= one.expected("data-team", "top")


# Other domains.


async def test_other_domains_are_kept_apart_and_whole(walked: Google) -> None:
    """admins@ of a partner is not admins@ here; what it is in cannot be read and is not made up."""
    walked.put(alice := walked.person(1, "alice"), "data-team")
    walked.server.members["admins@elsewhere.org"] = {"alice@example.com"}
    walked.server.nest("admins@elsewhere.org", "top@elsewhere.org")
    groups = await walked.directory.groups_of(alice)
    assert groups == walked.expected("data-team") | {parse_group("admins@elsewhere.org")}
    rules = AccessRules(parse_group("users@example.com"), parse_group("admins@example.com"))
    assert not decide_access(groups, rules).allowed


async def test_a_refusal_for_an_own_domain_is_an_outage(walked: Google) -> None:
    """Groups of the account are complete or unknown; of others, by a setting."""
    walked.put(alice := walked.person(1, "alice"), "data-team")
    gone = Fault(404, '{"error": {"code": 404, "errors": [{"reason": "notFound"}]}}', path=GROUPS, after=1)
    walked.server.faults.append(gone)
    with pytest.raises(DirectoryUnavailable, match="reading groups"):
        await walked.directory.groups_of(alice)


async def test_parts_of_google_that_disagree_are_an_outage(walked: Google) -> None:
    """An account that is there, and whose groups are of nobody: that is not somebody without groups."""
    walked.put(alice := walked.person(1, "alice"), "data-team")
    walked.server.faults.append(Fault(404, '{"error": {"code": 404, "errors": [{"reason": "notFound"}]}}', path=GROUPS))
    with pytest.raises(DirectoryUnavailable, match="reading groups"):
        await walked.directory.groups_of(alice)


async def test_unreadable_groups_can_be_an_outage(tmp_path: Path) -> None:
    """For those who grant by groups above groups of partners."""
    async with google(tmp_path, transitive_search="never", unreadable_groups="fail") as source:
        source.put(alice := source.person(1, "alice"), "data-team")
        assert await source.directory.groups_of(alice) == source.expected("data-team")
        source.server.members["admins@elsewhere.org"] = {"alice@example.com"}
        source.later()
        with pytest.raises(DirectoryUnavailable):
            await source.directory.groups_of(alice)


async def test_a_refused_administrator_is_an_outage(walked: Google) -> None:
    """A privilege that was taken away takes nobody's access."""
    walked.put(alice := walked.person(1, "alice"), "data-team")
    assert await walked.directory.groups_of(alice) == walked.expected("data-team")
    walked.server.privileged = False
    walked.later()
    with pytest.raises(
        DirectoryUnavailable, match=r"the privilege Users > Read of groups-reader@example\.com is missing"
    ):
        await walked.directory.groups_of(alice)


# Trouble.


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(503, times=1), id="503"),
        pytest.param(Fault(429, times=2, headers={"Retry-After": "0"}), id="429"),
        pytest.param(Fault(403, quota_error(403, "quotaExceeded"), times=1), id="403 quotaExceeded"),
        pytest.param(Fault(403, quota_error(403, "userRateLimitExceeded"), times=1), id="403 userRateLimitExceeded"),
        pytest.param(Fault(401, "{}", path=GROUPS, times=1), id="a token that ended early"),
    ],
)
async def test_passing_trouble_is_waited_for(walked: Google, fault: Fault) -> None:
    """Quota errors, 5xx and a token that has ended are tried again, and nobody notices."""
    walked.put(alice := walked.person(1, "alice"), "data-team")
    await walked.directory.groups_of(alice)
    walked.server.faults.append(fault)
    walked.later()
    assert await walked.directory.groups_of(alice) == walked.expected("data-team")
    assert fault.times == 0


async def test_retry_after_is_honoured(walked: Google) -> None:
    """Never sooner than Google asks."""
    walked.put(alice := walked.person(1, "alice"), "data-team")
    await walked.directory.groups_of(alice)
    walked.server.faults.append(Fault(429, times=1, headers={"Retry-After": "1"}))
    walked.later()
    started = asyncio.get_running_loop().time()
    assert await walked.directory.groups_of(alice) == walked.expected("data-team")
    assert asyncio.get_running_loop().time() - started >= 1


async def test_a_slow_directory_is_given_up(tmp_path: Path) -> None:
    """Somebody who signs in waits as long as `patience` and no longer, however slow each call is."""
    async with google(tmp_path, timeout=0.2, patience=0.7, tries=10, transitive_search="never") as source:
        source.put(alice := source.person(1, "alice"), "data-team")
        await source.directory.groups_of(alice)
        source.server.delay = 30
        source.later()
        started = asyncio.get_running_loop().time()
        with pytest.raises(DirectoryUnavailable):
            await source.directory.groups_of(alice)
        assert asyncio.get_running_loop().time() - started < 5


async def test_a_stopped_directory_costs_the_next_nothing(walked: Google) -> None:
    """The first waits for its tries; then for some seconds everybody is told at once; then it is asked again."""
    walked.put(alice := walked.person(1, "alice"), "data-team")
    await walked.directory.groups_of(alice)
    await walked.server.stop()
    walked.later()
    with pytest.raises(DirectoryUnavailable, match="cannot be reached"):
        await walked.directory.groups_of(alice)
    started = asyncio.get_running_loop().time()
    for number in range(100):
        with pytest.raises(DirectoryUnavailable, match="gave no answer a moment ago"):
            await walked.directory.groups_of(walked.person(number, f"person{number}"))
    assert asyncio.get_running_loop().time() - started < 5  # with tries: half a minute
    await walked.server.start()
    walked.later()
    assert await walked.directory.groups_of(alice) == walked.expected("data-team")


async def test_nothing_secret_is_told(source: Google, caplog: pytest.LogCaptureFixture) -> None:
    """No token, signature or key in logs at the finest level, in errors or in what errors were made of."""
    caplog.set_level(logging.DEBUG, logger=source.directory.log.name)
    source.put(alice := source.person(1, "alice"), "data-team")
    await source.directory.groups_of(alice)
    errors = []
    for fault in (Fault(503), Fault(401, "{}"), Fault(403, "{}"), Fault(200, "no"), Fault(400, "no", path="token")):
        source.server.faults[:] = [fault]
        source.directory._tokens[USERS_SCOPE].forget(await _held(source))
        source.later()
        with pytest.raises(DirectoryUnavailable) as caught:
            await source.directory.groups_of(alice)
        error: BaseException | None = caught.value
        while error:
            errors.append(repr(error))
            error = error.__cause__
    told = caplog.text + "".join(errors)
    assert len(errors) >= 5
    for secret in [*source.server.tokens, "assertion", "Bearer"]:
        assert secret not in told


async def _held(source: Google) -> str:
    held = source.directory._tokens[USERS_SCOPE]._held
    return held.text if held else ""


# What is refused at start, and what `devplatform check auth` will say.


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        pytest.param({}, "admin_subject is needed", id="nothing"),
        pytest.param({"admin_subject": ADMIN}, "service_account is needed", id="no service account"),
        pytest.param({"admin_subject": "admin", "service_account": SERVICE_ACCOUNT}, "whole address", id="no domain"),
        pytest.param({"admin_subject": ADMIN, "service_account": "directory"}, "whole address", id="half an account"),
        pytest.param({"admin_api_root": "admin.googleapis.com"}, "admin_api_root has to be an address", id="no scheme"),
        pytest.param({"token_root": "https://a.example/?x="}, "token_root has to be an address", id="a query"),
        pytest.param({"transitive_search": "maybe"}, "transitive_search", id="a word that is none of three"),
        pytest.param({"timeout": 0}, "timeout", id="no time"),
        pytest.param(
            {"admin_suject": ADMIN}, "admin_suject is not a setting. Did you mean admin_subject", id="misspelt"
        ),
        pytest.param(
            {
                "admin_subject": ADMIN,
                "service_account": SERVICE_ACCOUNT,
                "check_accounts": False,
                "transitive_search": "always",
            },
            "customer is needed",
            id="a search of whatever customer",
        ),
    ],
)
def test_settings_that_cannot_be_meant(settings: dict[str, Any], words: str) -> None:
    """CVE-2020-26250 (anchors, row 3): what would be without effect is an error at start, by the setting's name."""
    with pytest.raises(TraitError, match=words):
        GoogleGroupDirectory(config=Config({"GoogleGroupDirectory": settings}))


@pytest.mark.parametrize(
    ("broken", "missing"),
    [
        pytest.param(lambda server: None, "", id="nothing"),
        pytest.param(lambda server: setattr(server, "may_sign", False), "iam.serviceAccounts.signJwt", id="signing"),
        pytest.param(
            lambda server: server.granted.discard(GROUPS_SCOPE), f"the scope {GROUPS_SCOPE}", id="scope of groups"
        ),
        pytest.param(
            lambda server: server.granted.discard(USERS_SCOPE), f"the scope {USERS_SCOPE}", id="scope of accounts"
        ),
        pytest.param(
            lambda server: server.granted.discard(SEARCH_SCOPE), f"the scope {SEARCH_SCOPE}", id="scope of the search"
        ),
        pytest.param(lambda server: server.accounts.clear(), f"the account {ADMIN}", id="administrator"),
        pytest.param(
            lambda server: setattr(server, "privileged", False),
            f"the privilege Groups > Read of {ADMIN}",
            id="privilege",
        ),
        pytest.param(
            lambda server: setattr(server, "has_search", False),
            "the edition, or the right to see all of this person's groups,",
            id="edition",
        ),
        pytest.param(lambda server: server.members.clear(), "this group", id="group"),
    ],
)
async def test_check_names_what_is_missing(source: Google, broken: Any, missing: str) -> None:
    """Every step works; then each thing that can be missing is named, and only where it is."""
    source.put(source.person(1, "alice"), "data-team")
    broken(source.server)
    findings = await source.directory.check(source.expected("data-team"))
    assert missing in {finding.missing for finding in findings}
    assert all(finding.works == (not finding.missing) for finding in findings)
    assert missing == "" or any(finding.remedy for finding in findings)


async def test_check_names_a_missing_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program without any identity is told how to get one."""
    async with google(tmp_path) as source:
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "gone.json"))
        findings = await source.directory.check(source.expected("data-team"))
    assert {finding.missing for finding in findings} == {"a credential of this program"}


async def test_who_walks_is_forgotten_in_the_end(tmp_path: Path) -> None:
    """CVE-2026-34052 (anchors, row 21): of however many people a search was refused for, so many are remembered."""
    async with google(tmp_path, answers_kept=5) as source:
        source.server.has_search = False
        for number in range(12):
            source.put(person := source.person(number, f"person{number}"), "data-team")
            assert await source.directory.groups_of(person) == source.expected("data-team")
        assert (len(source.directory._walked), len(source.directory._people)) == (5, 5)


@pytest.mark.parametrize("fails", [None, 404, 403, 500], ids=str)
async def test_who_is_no_member_is_refused(source: Google, fails: int | None) -> None:
    """CVE-2018-7206 (anchors, row 2): no membership, an empty answer or an error never lets anybody in."""
    rules = AccessRules(parse_group("users@example.com"), parse_group("admins@example.com"))
    source.put(mallory := source.person(1, "mallory"), "users-of-something-else", "elsewhere:users")
    if fails is None:
        assert not decide_access(await source.directory.groups_of(mallory), rules).allowed
        return
    source.server.faults.append(Fault(fails, "{}", path="/admin/"))
    try:
        access = decide_access(await source.directory.groups_of(mallory), rules)
    except DirectoryUnavailable:
        return
    assert not access.allowed


async def test_a_member_on_the_last_page_is_let_in(walked: Google) -> None:
    """CVE-2018-7206 (anchors, row 2): membership counts wherever in the pages it stands."""
    rules = AccessRules(parse_group("zz-users@example.com"), parse_group("admins@example.com"))
    walked.server.page_size = 3
    walked.put(alice := walked.person(1, "alice"), *(f"group-{number}" for number in range(20)), "zz-users")
    assert decide_access(await walked.directory.groups_of(alice), rules).allowed
    assert walked.server.calls[GROUPS] >= 7


def test_the_double_is_asked_like_google() -> None:
    """The roots of the product are Google's own, so that the double stands where Google does."""
    traits = GoogleGroupDirectory.class_traits(config=True)
    roots = {name: trait.default_value for name, trait in traits.items() if name.endswith("_root")}
    assert roots == {
        "admin_api_root": "https://admin.googleapis.com",
        "cloud_identity_root": "https://cloudidentity.googleapis.com",
        "token_root": "https://oauth2.googleapis.com",
        "iam_credentials_root": "https://iamcredentials.googleapis.com",
    }
    assert GoogleServer().domains == {"example.com", "partner.com"}
