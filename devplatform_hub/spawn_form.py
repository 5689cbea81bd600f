"""The page on which a person chooses a profile, an editor and options; and the way back from what they sent.

Field names: `profile`, and per profile `profile-option-<profile>--editor` and `profile-option-<profile>--<option>`,
so that the form works without JavaScript and kubespawner's own names keep their meaning.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from .core.identity import display_group
from .core.limit_refusal import told_of
from .core.limits import Limit, PersonLimits, Use, left_of
from .core.profiles import Offer
from .core.quantities import format_duration
from .core.safe_start import ABOUT

_SEARCH_FROM = 9  # profiles; fewer fit on a screen
_OPTION_PREFIX = "profile-option-"
_EDITOR = "editor"
_SAFE = "safe"
_FLAGS = {"true": True, "false": False}
_GONE = {False: "is not available any more.", True: "is more than your limits leave now."}
_environment = Environment(
    loader=PackageLoader("devplatform_hub"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters["duration"] = format_duration


@dataclass(frozen=True, slots=True)
class _Card:
    """One profile as the template shows it."""

    offer: Offer
    checked: bool
    editor: str
    choices: Mapping[str, str]
    groups: str

    @property
    def field(self) -> str:
        return f"{_OPTION_PREFIX}{self.offer.profile.slug}--"


def render_form(
    offers: Sequence[Offer],
    saved: Mapping[str, object],
    *,
    enforcement: str,
    notice: str = "",
    needs_safe_start: bool = False,
    limits: PersonLimits | None = None,
    held: Sequence[Use] = (),
) -> str:
    """The fields of the hub's spawn form; of `saved`, the last choice, what is still possible is selected.

    A safe start can always be asked for; it stands out where the last server ended for want of one.
    Of `limits` it says what `held`, the person's other servers, leave.
    """
    chosen = _initial(offers, saved)
    cards = [_card(offer, saved if offer is chosen else {}, checked=offer is chosen) for offer in offers]
    return _environment.get_template("spawn_form.html").render(
        cards=cards,
        lost=_lost(chosen, saved, offers),
        rooms=[_room(limit, held) for limit in limits.limits] if limits else [],
        held=[told_of(use) for use in held],
        limited=bool(held) and any(offer.limited for offer in offers),
        enforcement=enforcement,
        notice=notice,
        needs_safe_start=needs_safe_start,
        about_safe_start=ABOUT,
        search=len(offers) >= _SEARCH_FROM,
        style=_asset("spawn_form.css"),
        script=_asset("spawn_form.js"),
    )


def request_from_form(formdata: Mapping[str, Sequence[str]]) -> dict[str, object]:
    """What was chosen, as user options for `core.session.parse_request`: only the chosen profile's fields count.

    A field that is not the form's own is handed on, for `parse_request` to refuse.
    """
    profile = only(formdata.get("profile"))
    prefix = f"{_OPTION_PREFIX}{profile}--"
    own = {name.removeprefix(prefix): only(values) for name, values in formdata.items() if name.startswith(prefix)}
    editor = own.pop(_EDITOR, "")
    foreign = {
        name: only(values)
        for name, values in formdata.items()
        if name not in ("profile", "_xsrf") and not name.startswith(_OPTION_PREFIX)
    }
    asked: dict[str, object] = {"profile": profile, "options": own} | ({"editor": editor} if editor else {})
    return asked | _with_flags(foreign)


def request_from_query(query: Mapping[str, Sequence[str]]) -> dict[str, object]:
    """What a link asks for, as user options for `core.session.parse_request`."""
    return _with_flags({name: only(values) for name, values in query.items() if values})


def _with_flags(given: Mapping[str, object]) -> dict[str, object]:
    """`given` with the text of a page or a link as true or false; any other text is left to be refused."""
    safe = given.get(_SAFE)
    return {**given, _SAFE: _FLAGS.get(safe, safe)} if isinstance(safe, str) else dict(given)


def _initial(offers: Sequence[Offer], saved: Mapping[str, object]) -> Offer | None:
    available = [offer for offer in offers if offer.available]
    for offer in available:
        if offer.profile.slug == saved.get("profile"):
            return offer
    return next((offer for offer in available if offer.profile.default), available[0] if available else None)


def _room(limit: Limit, held: Sequence[Use]) -> dict[str, str]:
    """What is left of one limit, in words."""
    quantity, left = limit.quantity, left_of(limit, held)
    most = quantity.bare(limit.amount) if limit.amount else "none"
    rest = f"{quantity.bare(left) if left else 'none'} of {most} left" if limit.amount else most
    return {"name": quantity.display_name, "left": rest, "why": limit.why}


def _lost(chosen: Offer | None, saved: Mapping[str, object], offers: Sequence[Offer]) -> list[str]:
    """What of the last choice is not selected again because it is gone, closed or too much by now, in words."""
    wanted = saved.get("profile")
    if not wanted or chosen is None:  # of nothing that is available, the page says more than this
        return []
    if chosen.profile.slug != wanted:
        limited = any(offer.limited for offer in offers if offer.profile.slug == wanted)
        return [f"Your last profile, {str(wanted)[:60]}, {_GONE[limited]}"]
    card = _card(chosen, saved, checked=True)
    lost = []
    editor = saved.get("editor")
    if editor and editor != card.editor:
        names = {offer.editor.value: offer.editor.display_name for offer in chosen.editors}
        lost.append(f"Your last editor, {names.get(str(editor), str(editor)[:60])}, is not available any more.")
    kept = saved.get("options")
    before: Mapping[str, object] = kept if isinstance(kept, Mapping) else {}
    for option in chosen.options:
        last = before.get(option.option.slug, "")
        if last and last != card.choices[option.option.slug]:
            names = {offer.choice.slug: offer.choice.display_name for offer in option.choices}
            name = names.get(str(last), str(last)[:60])
            limited = any(offer.limited for offer in option.choices if offer.choice.slug == last)
            lost.append(f"Your last {option.option.display_name}, {name}, {_GONE[limited]}")
    return lost


def _card(offer: Offer, saved: Mapping[str, object], *, checked: bool) -> _Card:
    usable = [editor.editor.value for editor in offer.editors if not editor.reason]
    wanted = saved.get("editor")
    kept = saved.get("options")
    kept = kept if isinstance(kept, Mapping) else {}
    choices = {}
    for option in offer.options:
        open_slugs = [choice.choice.slug for choice in option.choices if not choice.reason]
        standard = next((c.choice.slug for c in option.choices if c.choice.default and not c.reason), None)
        before = kept.get(option.option.slug)
        choices[option.option.slug] = before if before in open_slugs else standard or next(iter(open_slugs), "")
    groups = ", ".join(sorted(display_group(group) for group in offer.profile.allowed_groups))
    editor = str(wanted) if wanted in usable else next(iter(usable), "")
    return _Card(offer, checked, editor, choices, groups)


def _asset(name: str) -> Markup:
    """A file of ours, put into the page as it is: the hub serves no static files of extensions."""
    return Markup((files("devplatform_hub") / "templates" / name).read_text("utf-8"))  # noqa: S704 - our own file


def only(values: Sequence[str] | None) -> object:
    """The one value of a field; all of them where it was sent twice, which `parse_request` refuses."""
    return (values[0] if len(values) == 1 else list(values)) if values else ""
