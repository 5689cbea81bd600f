"""From what a person asked for to what their server gets. The form and the REST API both end here."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from .access import Access
from .cluster import ClusterSettings
from .errors import PublicError
from .option_values import closed_to, name_of, one_of, open_profiles, said, values_of
from .profiles import Capabilities, Catalog, Choice, Editor, Gpu, Offer, Profile, offer, offers

_OPTION_PREFIX = "profile-option-"


@dataclass(frozen=True, slots=True)
class SessionRequest:
    """What a person chose. Empty `profile` or None `editor` mean the default; `options` maps option to choice slug.

    `safe` asks for a start that writes nothing to the home disk (`core.safe_start`).
    """

    profile: str = ""
    editor: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    safe: bool = False


@dataclass(frozen=True, slots=True)
class SessionPlan:
    """Everything that a spawner needs to know about one server. A new behaviour of a session is one field here."""

    profile: str
    display_name: str
    editor: Editor
    cpu: float
    memory: int
    gpu: Gpu | None
    default_url: str
    idle_timeout: int | None
    max_age: int | None
    environment: Mapping[str, str]
    options: Mapping[str, str]
    cluster: ClusterSettings = field(default_factory=ClusterSettings)
    safe: bool = False

    @property
    def why(self) -> str:
        """For the audit: the profile, and that it was a safe start where it was one."""
        return f"{self.profile}, safe start" if self.safe else self.profile

    def as_request(self) -> dict[str, object]:
        """The resolved choice as user options of this one start, and nothing that was not checked."""
        return self.as_user_options() | ({"safe": True} if self.safe else {})

    def as_user_options(self) -> dict[str, object]:
        """What of it the hub stores and offers again next time: a safe start is for once."""
        return {"profile": self.profile, "editor": self.editor.value, "options": dict(self.options)}


class OptionsInvalid(PublicError):
    """What was sent is no request at all; `option` is where, as far as that has a name."""

    def __init__(self, reason: str, option: str = "", hint: str = "") -> None:
        self.reason = reason
        self.option = option
        message = f"The options for this server are not valid: {reason}."
        super().__init__(message, code="session-options-invalid", hint=hint)


def plan_options(raw: object, catalog: Catalog, access: Access, capabilities: Capabilities) -> SessionPlan:
    """`plan_session` of what `parse_request` makes of `raw`; every refusal of a value says which there are instead."""
    if not access.allowed:
        raise closed_to(access)
    try:
        request = parse_request(raw)
    except OptionsInvalid as error:
        profile = raw.get("profile") if isinstance(raw, Mapping) else None
        hint = values_of(error.option, profile, offers(catalog, access, capabilities))
        raise OptionsInvalid(error.reason, error.option, hint) from error
    return plan_session(request, catalog, access, capabilities)


def parse_request(raw: object) -> SessionRequest:
    """`raw` user options of the REST API or of the form, as a request.

    Accepted: `profile`, `editor`, `options` {option: choice}, `safe` (true or false), and kubespawner's
    `profile-option-<profile>--<option>`.
    Raises `OptionsInvalid`.
    An unknown key is refused, so that a misspelt or forbidden setting is never silently dropped.
    """
    if not isinstance(raw, Mapping):
        raise OptionsInvalid("they must be an object")
    profile = _text("profile", raw.get("profile", ""))
    editor = raw.get("editor")
    nested = raw.get("options", {})
    safe = raw.get("safe", False)
    if not isinstance(safe, bool):
        raise OptionsInvalid("safe must be true or false", "safe")
    if not isinstance(nested, Mapping):
        raise OptionsInvalid("options must map an option to a choice", "options")
    options = {str(key): _text(f"options.{key}", value) for key, value in nested.items()}
    for key, value in raw.items():
        if key in ("profile", "editor", "options", "safe"):
            continue
        owner, separator, option = key.removeprefix(_OPTION_PREFIX).partition("--")
        if not key.startswith(_OPTION_PREFIX) or not separator:
            raise OptionsInvalid(f"{said(key)} is not an option of this platform")
        if owner != profile:
            raise OptionsInvalid(f"{said(key)} belongs to another profile than {said(profile)}")
        if option in options:
            raise OptionsInvalid(f"{said(key)} is there twice", f"options.{option}")
        options[option] = _text(f"options.{option}", value)
    return SessionRequest(profile, None if editor is None else _text("editor", editor), options, safe)


def plan_session(request: SessionRequest, catalog: Catalog, access: Access, capabilities: Capabilities) -> SessionPlan:
    """The server that this person gets for this request, or a `PublicError` that says why not.

    Codes: `access-refused`, `no-profile-available`, `profile-unknown`, `profile-unavailable`, `editor-unavailable`,
    `option-unknown`, `choice-unavailable`; status 403 where the person may not, 400 where the request is wrong.
    """
    if not access.allowed:
        raise closed_to(access)
    chosen = _choose_profile(request, catalog, access, capabilities)
    editor = _choose_editor(request, chosen)
    choices = _choose_options(request, chosen)
    profile = chosen.profile
    cpu, memory, gpu = profile.cpu, profile.memory, profile.gpu
    environment, cluster = dict(profile.environment), profile.cluster
    for choice in choices.values():
        cpu, memory, gpu = choice.cpu or cpu, choice.memory or memory, choice.gpu or gpu
        environment.update(choice.environment)
        cluster = choice.cluster.over(cluster)
    return SessionPlan(
        profile=profile.slug,
        display_name=profile.display_name,
        editor=editor,
        cpu=cpu if capabilities.cpu is None else min(cpu, capabilities.cpu),
        memory=memory if capabilities.memory is None else min(memory, capabilities.memory),
        gpu=gpu,
        default_url={Editor.JUPYTERLAB: "/lab", Editor.VSCODE: "/vscode/"}[editor],
        idle_timeout=profile.idle_timeout,
        max_age=profile.max_age,
        environment=environment,
        options={option: choice.slug for option, choice in choices.items()},
        cluster=cluster,
        safe=request.safe,
    )


def _choose_profile(request: SessionRequest, catalog: Catalog, access: Access, capabilities: Capabilities) -> Offer:
    if request.profile:
        profile: Profile | None = catalog.get(request.profile)
        if profile is None:
            raise PublicError(
                f"There is no profile {said(request.profile)}.",
                code="profile-unknown",
                hint=one_of(open_profiles(offers(catalog, access, capabilities))),
            )
        chosen = offer(profile, access, capabilities)
        if not chosen.available:
            raise PublicError(
                f"The profile {name_of(profile)} is not available to you: {' '.join(chosen.reasons)}",
                code="profile-unavailable",
                hint=one_of(open_profiles(offers(catalog, access, capabilities))),
                status=403,
            )
        return chosen
    candidates = [offer(p, access, capabilities) for p in sorted(catalog.profiles, key=lambda p: not p.default)]
    available = [candidate for candidate in candidates if candidate.available]
    if not available:
        raise PublicError(
            "No profile is available to you.",
            code="no-profile-available",
            hint="Ask an administrator which group gives you one.",
            status=403,
        )
    return available[0]


def _choose_editor(request: SessionRequest, chosen: Offer) -> Editor:
    usable = [editor.editor for editor in chosen.editors if not editor.reason]
    if request.editor is None:
        return usable[0]
    for candidate in chosen.editors:
        if candidate.editor.value == request.editor:
            if candidate.reason:
                raise PublicError(
                    f"The editor {candidate.editor.display_name} cannot be started here: {candidate.reason}",
                    code="editor-unavailable",
                    hint=one_of(usable),
                )
            return candidate.editor
    raise PublicError(
        f"{chosen.profile.display_name} has no editor {said(request.editor)}.",
        code="editor-unavailable",
        hint=one_of(usable),
    )


def _choose_options(request: SessionRequest, chosen: Offer) -> dict[str, Choice]:
    known = {option.option.slug for option in chosen.options}
    for slug in request.options:
        if slug not in known:
            raise PublicError(
                f"{chosen.profile.display_name} has no option {said(slug)}.",
                code="option-unknown",
                hint=f"It has: {', '.join(sorted(known)) or 'no options'}.",
            )
    result: dict[str, Choice] = {}
    for option in chosen.options:
        wanted = request.options.get(option.option.slug)
        open_choices = [candidate.choice for candidate in option.choices if not candidate.reason]
        if wanted is None:
            result[option.option.slug] = next((c for c in open_choices if c.default), open_choices[0])
            continue
        match = next((candidate for candidate in option.choices if candidate.choice.slug == wanted), None)
        if match is None or match.reason:
            reason = match.reason if match else "it does not exist."
            raise PublicError(
                f"{said(wanted)} cannot be chosen for {name_of(option.option)}: {reason}",
                code="choice-unavailable",
                hint=one_of([choice.slug for choice in open_choices]),
                status=403 if match else 400,
            )
        result[option.option.slug] = match.choice
    return result


def _text(key: str, value: object) -> str:
    if not isinstance(value, str):
        raise OptionsInvalid(f"{said(key)} must be one text", key)
    return value
