"""The page to choose from: what is in it, what is selected, what comes back, and that nothing in it can run."""

import re

import pytest

from devplatform_hub.core.access import AccessRules, decide_access
from devplatform_hub.core.errors import PublicError
from devplatform_hub.core.identity import parse_group
from devplatform_hub.core.limited_offers import within
from devplatform_hub.core.limits import LimitRule, Use, limits_of
from devplatform_hub.core.profiles import Capabilities, Catalog, Choice, Editor, Offer, Profile, ProfileOption, offers
from devplatform_hub.core.session import SessionRequest, parse_request
from devplatform_hub.spawn_form import render_form, request_from_form, request_from_query

USERS, ADMINS, TEAM = (parse_group(name) for name in ("users", "admins", "team"))
HOSTILE = '"><script>alert(1)</script>'
SIZE = ProfileOption("size", "Size", (Choice("small", "Small", default=True), Choice("big", "Big")))


def shown(*profiles: Profile, place: Capabilities | None = None) -> tuple[Offer, ...]:
    return offers(Catalog(profiles), decide_access([USERS], AccessRules(USERS, ADMINS)), place or Capabilities())


STANDARD = Profile("standard", "Standard", "Everyday work.", 2, 2**33, default=True, options=(SIZE,))
OTHER = Profile("other", "Other", "", 1, 2**30)
CLOSED = Profile("closed", "Closed", "", 1, 2**30, allowed_groups=frozenset({TEAM}))


def checked(html: str) -> list[str]:
    """The ids of the radio buttons that are checked, and the values of the selected options."""
    inputs = re.findall(r"<input[^>]*>", html)
    radios = [re.search(r'id="([^"]+)"', i)[1] for i in inputs if "checked" in i]  # type: ignore[index]
    return radios + re.findall(r'<option value="([^"]+)"\s+selected', html)


@pytest.mark.parametrize(
    ("saved", "selected"),
    [
        pytest.param(
            {}, ["dp.standard", "dp.standard.editor.jupyterlab", "dp.other.editor.jupyterlab", "small"], id="first"
        ),
        pytest.param(
            {"profile": "standard", "editor": "vscode", "options": {"size": "big"}},
            ["dp.standard", "dp.standard.editor.vscode", "dp.other.editor.jupyterlab", "big"],
            id="the last choice",
        ),
        pytest.param(
            {"profile": "other", "editor": "vscode"},
            ["dp.standard.editor.jupyterlab", "dp.other", "dp.other.editor.vscode", "small"],
            id="another profile",
        ),
        pytest.param(
            {"profile": "closed"},
            ["dp.standard", "dp.standard.editor.jupyterlab", "dp.other.editor.jupyterlab", "small"],
            id="one that is closed by now",
        ),
        pytest.param(
            {"profile": "standard", "editor": "vim", "options": {"size": "gone"}},
            ["dp.standard", "dp.standard.editor.jupyterlab", "dp.other.editor.jupyterlab", "small"],
            id="stale editor and choice",
        ),
        pytest.param(
            {"profile": ["x"], "editor": 3, "options": "text"},
            ["dp.standard", "dp.standard.editor.jupyterlab", "dp.other.editor.jupyterlab", "small"],
            id="nonsense",
        ),
    ],
)
def test_selects_the_last_choice_where_it_is_still_possible(saved: dict[str, object], selected: list[str]) -> None:
    """What was checked is what is shown: a stale choice falls back to something valid."""
    assert checked(render_form(shown(STANDARD, OTHER, CLOSED), saved, enforcement="")) == selected


def test_says_that_the_last_profile_is_gone() -> None:
    """Falling back is not silent."""
    html = render_form(shown(STANDARD, CLOSED), {"profile": "closed"}, enforcement="")
    assert "Your last profile, closed, is not available any more." in html


def test_says_which_part_of_the_last_choice_is_gone() -> None:
    """An editor or a choice of an option may go while its profile stays."""
    saved = {"profile": "standard", "editor": "vscode", "options": {"size": "huge"}}
    place = Capabilities(editors_missing={Editor.VSCODE: "Run make up."})
    html = render_form(shown(STANDARD, place=place), saved, enforcement="")
    assert (
        "Your last editor, VS Code, is not available any more. Your last Size, huge, is not available any more." in html
    )
    assert "any more" not in render_form(shown(STANDARD), saved | {"options": {"size": "big"}}, enforcement="")


def test_no_two_elements_share_an_id() -> None:
    """A label would reach into another card: `a` with an option `b` beside `a-b`, or one that is called `search`."""
    names = ("a", "a-b", "a-about", "a-editor", "search", "found")
    option = ProfileOption("b", "B", (Choice("x", "X", default=True),))
    profiles = [Profile(n, n, "", 1, 1, default=n == "a", options=(option,)) for n in names]
    ids = re.findall(
        r' id="([^"]+)"',
        render_form(shown(*profiles, *(Profile(f"p{n}", "", "", 1, 1) for n in range(5))), {}, enforcement=""),
    )
    assert len(ids) > 30
    assert sorted(ids) == sorted(set(ids))


def test_hands_on_what_is_not_the_forms_own() -> None:
    """A field that somebody added is refused where every request is, and not dropped."""
    with pytest.raises(PublicError) as refusal:
        parse_request(request_from_form({"profile": ["standard"], "image": ["evil"]}))
    assert refusal.value.code == "session-options-invalid"


def test_shows_what_is_closed_with_the_reason() -> None:
    """Disabled, with the reason in text that a screen reader finds."""
    html = render_form(shown(STANDARD, CLOSED), {}, enforcement="Limits are set with rlimits.")
    closed = re.search(r'<input[^>]*id="dp.closed"[^>]*>', html)
    assert closed
    assert "disabled" in closed[0]
    assert 'aria-describedby="dp.closed.about"' in closed[0]
    assert "Only for members of team." in html
    assert "Limits are set with rlimits." in html


def test_an_editor_that_is_missing_is_shown_with_the_reason() -> None:
    """And the other one is selected."""
    place = Capabilities(editors_missing={Editor.JUPYTERLAB: "Run make up."})
    html = render_form(shown(OTHER, place=place), {}, enforcement="")
    assert "JupyterLab is not available. Run make up." in html
    assert "dp.other.editor.vscode" in checked(html)


def test_escapes_everything_that_profiles_and_people_name() -> None:
    """kubespawner's form has no autoescape; ours has."""
    profile = Profile("a", HOSTILE, HOSTILE, 1, 1, default=True, options=(ProfileOption("o", HOSTILE, SIZE.choices),))
    html = render_form(shown(profile), {"profile": HOSTILE}, enforcement=HOSTILE, notice=HOSTILE)
    html += limited([Use(HOSTILE, HOSTILE)], {}, servers=1)
    assert "<script>alert" not in html
    assert html.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 5


def limited(held: list[Use], saved: dict[str, object], **amounts: float) -> str:
    """The page of somebody with one limit, and these servers."""
    limits = limits_of(decide_access([USERS], AccessRules(USERS, ADMINS)), [LimitRule(**amounts)])  # type: ignore[arg-type]
    offered = within(shown(STANDARD, OTHER, CLOSED), limits, held, Capabilities())
    return render_form(offered, saved, enforcement="", limits=limits, held=held)


def test_says_what_is_left_where_a_limit_applies() -> None:
    """Up front, and nothing at all for those without limits."""
    html = limited([Use("train", "Other", 1, 2**30)], {}, servers=3, memory=2**33, gpu=0)
    rooms = re.findall(r"<dt>(.*):</dt> <dd>(.*) <span", html)
    assert rooms == [("Servers", "2 of 3 left"), ("Memory", "7 GB of 8 GB left"), ("GPUs", "none")]
    assert "<li>&#39;train&#39; (Other: 1 CPU, 1 GB of memory)</li>" in html
    assert "Your limits" not in limited([], {})
    assert "You have now" not in limited([], {}, servers=1)


def test_what_does_not_fit_any_more_is_disabled_and_the_last_choice_says_so() -> None:
    """What fits is selected instead."""
    html = limited([Use("train", "Other", 1, 2**30)], {"profile": "standard"}, memory=2**33)
    closed = re.search(r'<input[^>]*id="dp.standard"[^>]*>', html)
    assert closed
    assert ("disabled" in closed[0], "checked" in closed[0]) == (True, False)
    assert "Needs 8 GB of memory; 7 GB of your 8 GB are left." in html
    assert "Your last profile, standard, is more than your limits leave now." in html
    assert checked(html) == ["dp.other", "dp.other.editor.jupyterlab"]


def test_says_that_a_server_has_to_stop_first() -> None:
    """Not that an administrator has to help; unless nothing of theirs is in the way."""
    html = limited([Use("train", "Other", 1, 2**30)], {"profile": "standard"}, servers=1)
    assert "Your servers leave no room for another one. Stop one on the page Home, then come back." in html
    assert "Your last profile" not in html
    html = limited([], {}, servers=0)
    assert "You cannot start any of these profiles. The reasons are below; an administrator can help." in html


def test_a_choice_of_an_option_may_be_too_much_alone() -> None:
    """It is disabled with the reason, and the last choice says so."""
    size = ProfileOption("size", "Size", (Choice("small", "Small", default=True), Choice("big", "Big", memory=2**34)))
    limits = limits_of(decide_access([USERS], AccessRules(USERS, ADMINS)), [LimitRule(memory=2**33)])
    profile = Profile("a", "A", "", 2, 2**33, default=True, options=(size,))
    offered = within(shown(profile), limits, [], Capabilities())
    html = render_form(offered, {"profile": "a", "options": {"size": "big"}}, enforcement="", limits=limits)
    assert "disabled>Big (Needs 16 GB of memory; you may have 8 GB in all your servers together.)</option>" in html
    assert "Your last Size, Big, is more than your limits leave now." in html


@pytest.mark.parametrize(("count", "searchable"), [(8, False), (9, True), (50, True)])
def test_offers_a_search_when_profiles_do_not_fit(count: int, searchable: bool) -> None:
    """Fewer fit on a screen."""
    profiles = [Profile(f"p{n}", f"P{n}", "", 1, 1, default=n == 0) for n in range(count)]
    assert ('id="dp-search"' in render_form(shown(*profiles), {}, enforcement="")) is searchable


def test_only_the_chosen_profiles_answers_count() -> None:
    """The form carries the questions of every profile."""
    form = {
        "profile": ["standard"],
        "profile-option-standard--editor": ["vscode"],
        "profile-option-standard--size": ["big"],
        "profile-option-other--editor": ["jupyterlab"],
        "_xsrf": ["x"],
    }
    assert parse_request(request_from_form(form)) == SessionRequest("standard", "vscode", {"size": "big"})


def test_an_empty_form_asks_for_the_default() -> None:
    """Nothing was selected because nothing was available, or a script posted nothing."""
    assert parse_request(request_from_form({})) == SessionRequest("", None, {})


@pytest.mark.parametrize("needed", [True, False])
def test_a_safe_start_can_always_be_asked_for_and_is_offered_where_it_helps(needed: bool) -> None:
    """One plain checkbox, never ticked beforehand: beside the reason where it is of use, else folded away."""
    html = render_form(shown(STANDARD), {}, enforcement="", notice="It is full.", needs_safe_start=needed)
    assert re.findall(r"<input[^>]*checkbox[^>]*>", html) == [
        '<input type="checkbox" id="dp-safe" name="safe" value="true" aria-describedby="dp-safe-about">'
    ]
    assert html.count("It is full.") == 1
    assert ("<details" in html, html.index("dp-safe-about") < html.index('name="profile"')) == (not needed, needed)


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("false", False), pytest.param("on", "on", id="what nobody sends"), pytest.param("", "", id="-")],
)
def test_a_page_and_a_link_send_text(text: str, value: object) -> None:
    """Which means true or false; what means neither is left for `parse_request` to refuse."""
    assert request_from_form({"profile": ["standard"], "safe": [text]})["safe"] == value
    assert request_from_query({"profile": ["standard"], "safe": [text], "empty": []}) == {
        "profile": "standard",
        "safe": value,
    }
    assert "safe" not in request_from_form({"profile": ["standard"]})
