"""What a person can choose from: profiles, their options, and who may use what on this machine or cluster.

Reading `profiles.yaml` into these values, with messages that name file and line, is `core.profiles_yaml`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from .access import Access
from .cluster import ClusterSettings
from .identity import GroupName, display_group
from .limits import LimitRule
from .quantities import format_cpu, format_size

_VENDORS = {"nvidia.com": "NVIDIA", "amd.com": "AMD", "gpu.intel.com": "Intel"}


class Editor(StrEnum):
    """The editors that a server can open with. The value is what forms and the REST API carry."""

    JUPYTERLAB = "jupyterlab"
    VSCODE = "vscode"

    @property
    def display_name(self) -> str:
        return {"jupyterlab": "JupyterLab", "vscode": "VS Code"}[self.value]


@dataclass(frozen=True, slots=True)
class Gpu:
    """`count` GPUs of the vendor whose Kubernetes resource is `resource`, such as `nvidia.com/gpu`."""

    count: int
    resource: str = "nvidia.com/gpu"

    @property
    def display_name(self) -> str:
        """`1 NVIDIA GPU`, `2 AMD GPUs`; another vendor's resource is named as Kubernetes does."""
        vendor = _VENDORS.get(self.resource.partition("/")[0])
        kind = f"{vendor} GPU" if vendor else f"{self.resource} GPU"
        return f"{self.count} {kind}{'' if self.count == 1 else 's'}"


@dataclass(frozen=True, slots=True)
class Choice:
    """One value of an option. What it sets replaces what the profile sets; None leaves that alone."""

    slug: str
    display_name: str
    default: bool = False
    allowed_groups: frozenset[GroupName] = frozenset()
    cpu: float | None = None
    memory: int | None = None
    gpu: Gpu | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    cluster: ClusterSettings = field(default_factory=ClusterSettings)


@dataclass(frozen=True, slots=True)
class ProfileOption:
    """One question that a profile asks, such as which image; exactly one choice is the default."""

    slug: str
    display_name: str
    choices: tuple[Choice, ...]

    @property
    def default(self) -> Choice:
        return next(choice for choice in self.choices if choice.default)


@dataclass(frozen=True, slots=True)
class Profile:
    """A kind of server: `cpu` cores, `memory` bytes, `idle_timeout` and `max_age` seconds (None: no limit)."""

    slug: str
    display_name: str
    description: str
    cpu: float
    memory: int
    gpu: Gpu | None = None
    default: bool = False
    editors: tuple[Editor, ...] = (Editor.JUPYTERLAB, Editor.VSCODE)
    options: tuple[ProfileOption, ...] = ()
    allowed_groups: frozenset[GroupName] = frozenset()
    idle_timeout: int | None = 3600
    max_age: int | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    cluster: ClusterSettings = field(default_factory=ClusterSettings)

    @property
    def resources(self) -> str:
        """What it gives, for a person: `2 CPU, 8 GB memory, 1 NVIDIA GPU`."""
        parts = [format_cpu(self.cpu), f"{format_size(self.memory)} memory"]
        if self.gpu:
            parts.append(self.gpu.display_name)
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Catalog:
    """Every profile of the deployment, in the order of the file; exactly one is the default. And what limits people."""

    profiles: tuple[Profile, ...]
    limits: tuple[LimitRule, ...] = ()

    def get(self, slug: str) -> Profile | None:
        return next((profile for profile in self.profiles if profile.slug == slug), None)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the place that runs servers can give: None means no limit that is known beforehand (a cluster that grows).

    `editors_missing` maps an editor that cannot be started to the sentence that says why and what would install it.
    `enforcement` is one sentence on how limits are set on a server's processes.
    `is_cluster` says that what profiles ask of a cluster applies here.
    """

    cpu: float | None = None
    memory: int | None = None
    gpus: int | None = None
    editors_missing: Mapping[Editor, str] = field(default_factory=dict)
    enforcement: str = ""
    is_cluster: bool = False


@dataclass(frozen=True, slots=True)
class ChoiceOffer:
    """`limited` says that the reason is a limit of the person's, and so may be gone when a server has stopped."""

    choice: Choice
    reason: str = ""
    limited: bool = False


@dataclass(frozen=True, slots=True)
class OptionOffer:
    option: ProfileOption
    choices: tuple[ChoiceOffer, ...]


@dataclass(frozen=True, slots=True)
class EditorOffer:
    editor: Editor
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Offer:
    """A profile as one person sees it. `reasons` is empty when they can start it; `notes` are worth knowing.

    `limited` says that the reasons are limits of the person's (`core.limited_offers`).
    """

    profile: Profile
    reasons: tuple[str, ...]
    notes: tuple[str, ...]
    editors: tuple[EditorOffer, ...]
    options: tuple[OptionOffer, ...]
    limited: bool = False

    @property
    def available(self) -> bool:
        return not self.reasons


def offers(catalog: Catalog, access: Access, capabilities: Capabilities) -> tuple[Offer, ...]:
    """Every profile with what keeps this person or this place from it: nothing is hidden, everything is explained."""
    return tuple(offer(profile, access, capabilities) for profile in catalog.profiles)


def offer(profile: Profile, access: Access, capabilities: Capabilities) -> Offer:
    """One profile of `offers`."""
    reasons: list[str] = []
    notes: list[str] = []
    if not access.in_any(profile.allowed_groups):
        reasons.append(_for_members(profile.allowed_groups))
    shortages = _shortages(profile.cpu, profile.memory, profile.gpu, capabilities)
    if shortages and profile.default and not profile.gpu:
        # The default must start on a small laptop too: a cap above what the machine has is harmless.
        notes.extend(f"{shortage}, so it gets what there is" for shortage in shortages)
    else:
        reasons.extend(f"{shortage}." for shortage in shortages)
    if capabilities.is_cluster:
        notes.extend(profile.cluster.notes)
    editors = tuple(EditorOffer(editor, capabilities.editors_missing.get(editor, "")) for editor in profile.editors)
    if all(editor.reason for editor in editors):
        reasons.append("No editor that it offers can be started here.")
    options = tuple(_option_offer(option, access, capabilities) for option in profile.options)
    for option in options:
        if all(choice.reason for choice in option.choices):
            reasons.append(f"None of the choices of {option.option.display_name} is open to you here.")
    return Offer(profile, tuple(reasons), tuple(notes), editors, options)


def _option_offer(option: ProfileOption, access: Access, capabilities: Capabilities) -> OptionOffer:
    choices = []
    for choice in option.choices:
        reason = "" if access.in_any(choice.allowed_groups) else _for_members(choice.allowed_groups)
        shortages = _shortages(choice.cpu, choice.memory, choice.gpu, capabilities)
        choices.append(ChoiceOffer(choice, reason or "".join(f"{shortage}." for shortage in shortages[:1])))
    return OptionOffer(option, tuple(choices))


def _for_members(groups: frozenset[GroupName]) -> str:
    return f"Only for members of {' or '.join(sorted(display_group(group) for group in groups))}."


def _shortages(cpu: float | None, memory: int | None, gpu: Gpu | None, capabilities: Capabilities) -> list[str]:
    shortages = []
    if cpu and capabilities.cpu is not None and cpu > capabilities.cpu:
        shortages.append(f"Needs {format_cpu(cpu)}; this machine has {capabilities.cpu:g}")
    if memory and capabilities.memory is not None and memory > capabilities.memory:
        shortages.append(f"Needs {format_size(memory)} of memory; this machine has {format_size(capabilities.memory)}")
    if gpu and capabilities.gpus is not None and gpu.count > capabilities.gpus:
        have = f"has {capabilities.gpus}" if capabilities.gpus else "has none"
        shortages.append(f"Needs {gpu.display_name}; this machine {have}")
    return shortages
