"""From a request to a plan: what a person may not have, they do not get, whichever way they ask."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devplatform_hub.core.access import Access, AccessRules, decide_access
from devplatform_hub.core.errors import PublicError
from devplatform_hub.core.identity import GroupName, parse_group
from devplatform_hub.core.option_values import is_shallow
from devplatform_hub.core.profiles import (
    Capabilities,
    Catalog,
    Choice,
    Editor,
    Gpu,
    Profile,
    ProfileOption,
    offer,
    offers,
)
from devplatform_hub.core.session import SessionPlan, SessionRequest, parse_request, plan_options, plan_session

GIB = 2**30
USERS, ADMINS, TEAM = (parse_group(name) for name in ("users", "admins", "team"))
RULES = AccessRules(USERS, ADMINS)
SIZE = ProfileOption(
    "size",
    "Size",
    (
        Choice("small", "Small", default=True),
        Choice("big", "Big", cpu=4, memory=16 * GIB, environment={"SIZE": "big"}),
        Choice("team", "Team", allowed_groups=frozenset({TEAM})),
    ),
)
CATALOG = Catalog(
    (
        Profile("standard", "Standard", "", 2, 8 * GIB, default=True, options=(SIZE,), environment={"A": "1"}),
        Profile("gpu", "GPU", "", 8, 32 * GIB, gpu=Gpu(1)),
        Profile("team", "Team", "", 1, GIB, allowed_groups=frozenset({TEAM}), editors=(Editor.JUPYTERLAB,)),
    )
)
CLUSTER = Capabilities()
LAPTOP = Capabilities(cpu=2, memory=4 * GIB, gpus=0)


def access(*groups: GroupName) -> Access:
    return decide_access(groups, RULES)


MEMBER = access(USERS)


def test_plans_what_was_asked_for() -> None:
    """A choice replaces what the profile sets and adds its variables."""
    request = SessionRequest("standard", "vscode", {"size": "big"})
    assert plan_session(request, CATALOG, MEMBER, CLUSTER) == SessionPlan(
        profile="standard",
        display_name="Standard",
        editor=Editor.VSCODE,
        cpu=4,
        memory=16 * GIB,
        gpu=None,
        default_url="/vscode/",
        idle_timeout=3600,
        max_age=None,
        environment={"A": "1", "SIZE": "big"},
        options={"size": "big"},
    )


def test_a_safe_start_is_the_same_server_for_once() -> None:
    """It is in what this start is made from and in the audit, and in nothing that the next one is made from."""
    always = plan_session(SessionRequest("standard"), CATALOG, MEMBER, CLUSTER)
    safe = plan_session(SessionRequest("standard", safe=True), CATALOG, MEMBER, CLUSTER)
    assert safe == replace(always, safe=True)
    assert (always.why, safe.why) == ("standard", "standard, safe start")
    assert safe.as_user_options() == always.as_user_options() == always.as_request()
    assert safe.as_request() == always.as_user_options() | {"safe": True}
    assert parse_request(safe.as_request()).safe


@pytest.mark.parametrize("value", [pytest.param(v, id=repr(v)) for v in ("true", "", 1, 0, None, [], {"a": True})])
def test_safe_is_true_or_false(value: object) -> None:
    """Text is for forms and links, which know what they mean by it."""
    with pytest.raises(PublicError, match="safe must be true or false") as refusal:
        parse_request({"profile": "standard", "safe": value})
    assert (refusal.value.code, refusal.value.status) == ("session-options-invalid", 400)
    assert not parse_request({"profile": "standard", "safe": False}).safe


def test_an_empty_request_gets_the_defaults() -> None:
    """As a start from the REST API without a body."""
    plan = plan_session(SessionRequest(), CATALOG, MEMBER, CLUSTER)
    assert plan.as_user_options() == {"profile": "standard", "editor": "jupyterlab", "options": {"size": "small"}}


@pytest.mark.parametrize(
    ("request_", "person", "place", "code", "status"),
    [
        pytest.param(SessionRequest(), access(), CLUSTER, "access-refused", 403, id="in no group"),
        pytest.param(SessionRequest("nope"), MEMBER, CLUSTER, "profile-unknown", 400, id="no such profile"),
        pytest.param(SessionRequest("team"), MEMBER, CLUSTER, "profile-unavailable", 403, id="another team's profile"),
        pytest.param(SessionRequest("gpu"), MEMBER, LAPTOP, "profile-unavailable", 403, id="no GPU here"),
        pytest.param(
            SessionRequest("standard", "vim"), MEMBER, CLUSTER, "editor-unavailable", 400, id="no such editor"
        ),
        pytest.param(
            SessionRequest("standard", "vscode"),
            MEMBER,
            Capabilities(editors_missing={Editor.VSCODE: "It is not installed."}),
            "editor-unavailable",
            400,
            id="an editor that is not installed",
        ),
        pytest.param(
            SessionRequest("standard", None, {"image": "x"}),
            MEMBER,
            CLUSTER,
            "option-unknown",
            400,
            id="no such option",
        ),
        pytest.param(
            SessionRequest("standard", None, {"size": "huge"}),
            MEMBER,
            CLUSTER,
            "choice-unavailable",
            400,
            id="no choice",
        ),
        pytest.param(
            SessionRequest("standard", None, {"size": "team"}),
            MEMBER,
            CLUSTER,
            "choice-unavailable",
            403,
            id="another team's choice",
        ),
        pytest.param(
            SessionRequest("standard", None, {"size": "big"}),
            MEMBER,
            LAPTOP,
            "choice-unavailable",
            403,
            id="a choice that this machine cannot give",
        ),
    ],
)
def test_refuses_with_a_reason_and_a_code(
    request_: SessionRequest, person: Access, place: Capabilities, code: str, status: int
) -> None:
    """What is refused is refused for the form and the REST API alike, never a 500."""
    with pytest.raises(PublicError) as refusal:
        plan_session(request_, CATALOG, person, place)
    assert (refusal.value.code, refusal.value.status) == (code, status)
    assert refusal.value.hint


def test_refuses_when_no_profile_is_left() -> None:
    """An empty choice starts nothing: kubespawner would start a server with base settings."""
    only_team = Catalog((CATALOG.profiles[2],))
    with pytest.raises(PublicError) as refusal:
        plan_session(SessionRequest(), only_team, MEMBER, CLUSTER)
    assert refusal.value.code == "no-profile-available"


def test_members_and_administrators_get_the_teams_profile() -> None:
    """The group opens it; administrators may use every profile."""
    for person in (access(USERS, TEAM), access(ADMINS)):
        assert plan_session(SessionRequest("team"), CATALOG, person, CLUSTER).profile == "team"


def test_the_default_profile_fits_a_small_machine() -> None:
    """A laptop with less than the default promises starts it with what there is, and says so."""
    shown = offer(CATALOG.profiles[0], MEMBER, LAPTOP)
    assert shown.available
    assert shown.notes == ("Needs 8 GB of memory; this machine has 4 GB, so it gets what there is",)
    assert plan_session(SessionRequest(), CATALOG, MEMBER, LAPTOP).memory == 4 * GIB


def test_every_profile_is_shown_with_its_reasons() -> None:
    """Nothing is hidden: a person sees what they cannot have, and why."""
    shown = {o.profile.slug: o.reasons for o in offers(CATALOG, MEMBER, LAPTOP)}
    assert shown == {
        "standard": (),
        "gpu": (
            "Needs 8 CPU; this machine has 2.",
            "Needs 32 GB of memory; this machine has 4 GB.",
            "Needs 1 NVIDIA GPU; this machine has none.",
        ),
        "team": ("Only for members of team.",),
    }


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        pytest.param({}, SessionRequest(), id="nothing"),
        pytest.param(
            {"profile": "a", "editor": "vscode", "options": {"x": "y"}},
            SessionRequest("a", "vscode", {"x": "y"}),
            id="the REST API",
        ),
        pytest.param(
            {"profile": "a", "profile-option-a--x": "y"},
            SessionRequest("a", None, {"x": "y"}),
            id="kubespawner's names",
        ),
    ],
)
def test_reads_options_of_every_way_in(raw: dict[str, object], expected: SessionRequest) -> None:
    """The form, the REST API and a link say the same thing."""
    assert parse_request(raw) == expected


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param({"image": "evil"}, id="an image"),
        pytest.param({"cmd": ["sh"]}, id="a command"),
        pytest.param({"profile": ["a"]}, id="a list for a name"),
        pytest.param({"profile": None}, id="null"),
        pytest.param({"options": ["x"]}, id="a list of options"),
        pytest.param({"options": {"x": 1}}, id="a number"),
        pytest.param({"profile-option-a": "x"}, id="half a name"),
        pytest.param({"profile": "a", "profile-option-b--x": "y"}, id="another profile's option"),
        pytest.param({"profile-option-a--x": "y"}, id="an option of a profile that is not named"),
        pytest.param({"profile": "a", "options": {"x": "y"}, "profile-option-a--x": "z"}, id="an option twice"),
    ],
)
def test_refuses_what_is_not_an_option(raw: dict[str, object]) -> None:
    """An unknown key is never silently dropped (dockerspawner's CVE-2023-48311 began with one that was used)."""
    with pytest.raises(PublicError) as refusal:
        parse_request(raw)
    assert refusal.value.code == "session-options-invalid"


CHOICES = (
    "There are profile (standard, gpu), editor (jupyterlab, vscode), "
    "options of standard (size: small, big) and safe (true, false)."
)


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        pytest.param(
            {"profile": 7},
            "The options for this server are not valid: 'profile' must be one text. "
            "profile takes one of: standard, gpu.",
            id="a number for a profile",
        ),
        pytest.param(
            {"profile": "nope"},
            "There is no profile 'nope'. Choose one of: standard, gpu.",
            id="no such profile: what is closed to this person is not offered",
        ),
        pytest.param(
            {"profile": "team"},
            "The profile Team is not available to you: Only for members of team. Choose one of: standard, gpu.",
            id="another team's profile",
        ),
        pytest.param(
            {"editor": ["vscode"]},
            "The options for this server are not valid: 'editor' must be one text. "
            "editor takes one of: jupyterlab, vscode.",
            id="a list for an editor",
        ),
        pytest.param(
            {"editor": "vi\nm"},
            "Standard has no editor 'vi\\nm'. Choose one of: jupyterlab, vscode.",
            id="no such editor, on two lines",
        ),
        pytest.param(
            {"options": "size"},
            f"The options for this server are not valid: options must map an option to a choice. {CHOICES}",
            id="text for options",
        ),
        pytest.param(
            {"options": {"size": None}},
            "The options for this server are not valid: 'options.size' must be one text. "
            "options.size takes one of: small, big.",
            id="null for a choice",
        ),
        pytest.param(
            {"options": {"a\nb": 1}},
            f"The options for this server are not valid: 'options.a\\nb' must be one text. {CHOICES}",
            id="a line break in an option",
        ),
        pytest.param(
            {"options": {"colour": "red"}},
            "Standard has no option 'colour'. It has: size.",
            id="no such option",
        ),
        pytest.param(
            {"options": {"size": "x" * 99}},
            f"'{'x' * 60}...' cannot be chosen for Size: it does not exist. Choose one of: small, big.",
            id="no such choice, and a long one",
        ),
        pytest.param(
            ["standard"],
            f"The options for this server are not valid: they must be an object. {CHOICES}",
            id="a list",
        ),
        pytest.param(
            {"image": "evil"},
            f"The options for this server are not valid: 'image' is not an option of this platform. {CHOICES}",
            id="kubespawner's image",
        ),
        pytest.param(
            {"profile": "gpu", "profile-option-standard--size": "big"},
            "The options for this server are not valid: 'profile-option-standard--size' belongs to another profile "
            "than 'gpu'. There are profile (standard, gpu), editor (jupyterlab, vscode), "
            "options of gpu (none) and safe (true, false).",
            id="another profile's option",
        ),
    ],
)
def test_a_refusal_names_the_option_and_what_it_takes(raw: object, says: str) -> None:
    """Whoever wrote a script reads what to send instead, on one line, whatever was sent."""
    with pytest.raises(PublicError) as refusal:
        plan_options(raw, CATALOG, MEMBER, CLUSTER)
    assert f"{refusal.value.message} {refusal.value.hint}" == says


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("text", True, id="text"),
        pytest.param({}, True, id="an empty object"),
        pytest.param({"options": {"size": "big"}}, True, id="two levels"),
        pytest.param({"options": {"size": ["big"]}}, False, id="three levels"),
        pytest.param([[], [[[]]]], False, id="one part that is deep"),
        pytest.param([[]] * 9, True, id="many parts that are not"),
    ],
)
def test_how_deep_a_value_is(value: object, expected: bool) -> None:
    assert is_shallow(value, 2) is expected


def test_whoever_may_start_nothing_learns_nothing_of_what_there_is() -> None:
    """Also when what they send could not be read."""
    with pytest.raises(PublicError) as refusal:
        plan_options({"image": "evil"}, CATALOG, access(), CLUSTER)
    assert (refusal.value.code, refusal.value.status) == ("access-refused", 403)
    assert "standard" not in f"{refusal.value.message} {refusal.value.hint}"


NAMES = st.sampled_from(["standard", "gpu", "team", "", "x", "size", "small", "big", "vscode", "jupyterlab"])


@given(
    raw=st.dictionaries(
        st.one_of(
            st.sampled_from(["profile", "editor", "options", "profile-option-standard--size"]), st.text(max_size=9)
        ),
        st.one_of(NAMES, st.text(max_size=9), st.none(), st.integers(), st.dictionaries(NAMES, NAMES, max_size=2)),
        max_size=5,
    ),
    groups=st.sets(st.sampled_from([USERS, ADMINS, TEAM])),
    place=st.sampled_from([CLUSTER, LAPTOP]),
)
def test_a_plan_never_exceeds_what_is_offered(
    raw: dict[str, object], groups: set[GroupName], place: Capabilities
) -> None:
    """Whatever is sent: a plan is of an available profile, editor and choices, within the machine; or it is refused."""
    person = decide_access(groups, RULES)
    try:
        plan = plan_options(raw, CATALOG, person, place)
    except PublicError as refusal:
        text = refusal.message + refusal.hint
        assert text.isprintable()
        return
    shown = next(o for o in offers(CATALOG, person, place) if o.profile.slug == plan.profile)
    assert person.allowed
    assert shown.available
    assert plan.editor in [editor.editor for editor in shown.editors if not editor.reason]
    for option in shown.options:
        open_choices = [choice.choice.slug for choice in option.choices if not choice.reason]
        assert plan.options[option.option.slug] in open_choices
    assert place.cpu is None or plan.cpu <= place.cpu
    assert place.memory is None or plan.memory <= place.memory
