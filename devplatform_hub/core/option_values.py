"""What a refusal says of options and their values: which there are for this person, never what is closed to them."""

from collections.abc import Mapping, Sequence

from .access import Access
from .errors import PublicError
from .profiles import Offer, Profile, ProfileOption

_LONGEST = 60


def is_shallow(value: object, levels: int) -> bool:
    """Whether what came as JSON has at most so many levels of lists and objects."""
    level: list[object] = [value]
    for _ in range(levels + 1):
        inner = [part for part in level if isinstance(part, Mapping | list)]
        if not inner:
            return True
        level = [found for part in inner for found in (part.values() if isinstance(part, Mapping) else part)]
    return False


def said(text: str) -> str:
    """What somebody sent, quoted on one line and not longer than a person reads."""
    return repr(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}...")


def name_of(what: Profile | ProfileOption) -> str:
    """As people read it, and as the REST API takes it where that is another."""
    same = what.display_name.casefold() == what.slug
    return what.display_name if same else f"{what.display_name} ({what.slug})"


def one_of(values: Sequence[str]) -> str:
    """The sentence for somebody who may choose among these."""
    return f"Choose one of: {', '.join(values)}." if values else "Nothing is open to you; ask an administrator."


def open_profiles(offered: Sequence[Offer]) -> list[str]:
    """The profiles that can be started now."""
    return [offer.profile.slug for offer in offered if offer.available]


def values_of(option: str, profile: object, offered: Sequence[Offer]) -> str:
    """Which values `option` takes: `profile`, `editor`, `options.<name>`; of any other what there is to choose.

    Where `profile` names none that is open to the person, the one that a request without a profile gets counts.
    """
    if option == "profile":
        return f"profile takes one of: {', '.join(open_profiles(offered)) or 'nothing that is open to you'}."
    if option == "safe":
        return "safe takes one of: true, false."
    usable = sorted(
        (o for o in offered if o.available), key=lambda o: (o.profile.slug != profile, not o.profile.default)
    )
    if not usable:
        return one_of([])
    chosen = usable[0]
    editors = ", ".join(editor.editor.value for editor in chosen.editors if not editor.reason)
    choices = {
        found.option.slug: ", ".join(c.choice.slug for c in found.choices if not c.reason) for found in chosen.options
    }
    if option == "editor":
        return f"editor takes one of: {editors}."
    if option.removeprefix("options.") in choices:
        return f"{option} takes one of: {choices[option.removeprefix('options.')]}."
    own = "; ".join(f"{slug}: {values}" for slug, values in choices.items()) or "none"
    profiles = ", ".join(open_profiles(offered))
    of_profile = f"editor ({editors}), options of {chosen.profile.slug} ({own})"
    return f"There are profile ({profiles}), {of_profile} and safe (true, false)."


def closed_to(access: Access) -> PublicError:
    """The refusal of somebody who may start nothing: no word of what there is."""
    hint = f"Your account {access.why[0]}."
    return PublicError("You may not start servers here.", code="access-refused", hint=hint, status=403)
