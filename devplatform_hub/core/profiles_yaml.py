"""Reading `profiles.yaml`, and saying of every mistake where it is, what is wrong and what would be right."""

import re
from collections.abc import Mapping

import yaml

from .errors import DevPlatformError, PublicError
from .identity import LOCAL_DOMAIN, GroupName, parse_group
from .profiles import Catalog, Choice, Editor, Gpu, Profile, ProfileOption
from .quantities import parse_cpu, parse_size
from .yaml_fields import Field, FieldReader, line_of

_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
_ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PROFILE_KEYS = (
    "name",
    "display_name",
    "description",
    "default",
    "cpu",
    "memory",
    "gpu",
    "editors",
    "options",
    "allowed_groups",
    "idle_timeout",
    "max_age",
    "environment",
)
_OPTION_KEYS = ("name", "display_name", "choices")
_CHOICE_KEYS = ("name", "display_name", "default", "allowed_groups", "cpu", "memory", "gpu", "environment")
_RESERVED_OPTIONS = {"editor"}  # the form's own question


class ProfilesError(DevPlatformError):
    """`profiles.yaml` cannot be used: every problem in a line `file:line: what is wrong; what would be right.`"""


def parse_profiles(text: str, source: str, *, group_domain: str = LOCAL_DOMAIN) -> Catalog:
    """The catalogue that `text` describes. Raises `ProfilesError`; `source` is the file's name for its messages."""
    reader = _Reader(source, group_domain)
    catalog = reader.catalog(text)
    if reader.problems or catalog is None:
        raise ProfilesError("\n".join(reader.problems))
    return catalog


class _Reader(FieldReader):
    """Collects problems instead of stopping at the first."""

    def __init__(self, source: str, group_domain: str) -> None:
        super().__init__(source)
        self._domain = group_domain

    def catalog(self, text: str) -> Catalog | None:
        root = self.compose(text)
        if root is None:
            return None
        fields = self.fields(root, ("profiles",), "the file")
        listed = fields.get("profiles")
        if listed is None:
            self.problem(1, "there is no list of profiles", "start the file with profiles:")
            return None
        found = [(node, self._profile(node)) for node in self.items(listed.node, "profiles")]
        profiles = [profile for _, profile in found if profile is not None]
        if not found:
            self.problem(listed.line, "the list of profiles is empty", "describe at least one profile")
        self.unique([(node, profile.slug) for node, profile in found if profile], "profile")
        defaults = [(node, profile) for node, profile in found if profile and profile.default]
        if found and not defaults:
            self.problem(listed.line, "no profile is the default", "add default: true to exactly one profile")
        for node, profile in defaults[1:]:
            self.problem(
                line_of(node),
                f"{profile.slug!r} is a second default",
                f"keep default: true only on {defaults[0][1].slug!r}",
            )
        return Catalog(tuple(profiles))

    def _profile(self, node: yaml.Node) -> Profile | None:
        before = len(self.problems)
        fields = self.fields(node, _PROFILE_KEYS, "a profile")
        slug = self._slug(fields, node, "profile")
        profile = Profile(
            slug=slug,
            display_name=self.text(fields, "display_name") or slug,
            description=self.text(fields, "description") or "",
            cpu=self.amount(fields, "cpu", parse_cpu) or 0,
            memory=self.amount(fields, "memory", parse_size) or 0,
            gpu=self._gpu(fields),
            default=self.flag(fields, "default"),
            editors=self._editors(fields),
            options=self._options(fields),
            allowed_groups=self._groups(fields),
            idle_timeout=self.limit(fields, "idle_timeout", 3600),
            max_age=self.limit(fields, "max_age", None),
            environment=self._environment(fields),
        )
        for key, example in (("cpu", "cpu: 2"), ("memory", "memory: 8G")):
            if key not in fields and isinstance(node, yaml.MappingNode):
                self.problem(line_of(node), f"profile {slug!r} has no {key}", f"add {example}")
        return profile if len(self.problems) == before else None

    def _options(self, fields: Mapping[str, Field]) -> tuple[ProfileOption, ...]:
        if "options" not in fields:
            return ()
        options = []
        for node in self.items(fields["options"].node, "options"):
            inner = self.fields(node, _OPTION_KEYS, "an option")
            slug = self._slug(inner, node, "option")
            if slug in _RESERVED_OPTIONS:
                self.problem(line_of(node), f"an option cannot be named {slug!r}", "choose another name")
            choices = self._choices(inner, node, slug)
            if choices:
                options.append((node, ProfileOption(slug, self.text(inner, "display_name") or slug, choices)))
        self.unique([(node, option.slug) for node, option in options], "option")
        return tuple(option for _, option in options)

    def _choices(self, fields: Mapping[str, Field], option: yaml.Node, name: str) -> tuple[Choice, ...]:
        if "choices" not in fields:
            self.problem(line_of(option), f"option {name!r} has no choices", "add choices: with at least one entry")
            return ()
        found = []
        for node in self.items(fields["choices"].node, "choices"):
            inner = self.fields(node, _CHOICE_KEYS, "a choice")
            slug = self._slug(inner, node, "choice")
            choice = Choice(
                slug=slug,
                display_name=self.text(inner, "display_name") or slug,
                default=self.flag(inner, "default"),
                allowed_groups=self._groups(inner),
                cpu=self.amount(inner, "cpu", parse_cpu),
                memory=self.amount(inner, "memory", parse_size),
                gpu=self._gpu(inner),
                environment=self._environment(inner),
            )
            found.append((node, choice))
        self.unique([(node, choice.slug) for node, choice in found], "choice")
        if sum(choice.default for _, choice in found) != 1:
            self.problem(
                line_of(option), f"option {name!r} needs one default choice", "add default: true to exactly one choice"
            )
            return ()
        return tuple(choice for _, choice in found)

    def _gpu(self, fields: Mapping[str, Field]) -> Gpu | None:
        if "gpu" not in fields:
            return None
        inner = self.fields(fields["gpu"].node, ("count", "resource"), "gpu")
        count = self.amount(inner, "count", _parse_count) if "count" in inner else None
        if "count" not in inner:
            self.problem(fields["gpu"].line, "gpu has no count", "write gpu: {count: 1}")
        return Gpu(count or 1, self.text(inner, "resource") or "nvidia.com/gpu")

    def _editors(self, fields: Mapping[str, Field]) -> tuple[Editor, ...]:
        if "editors" not in fields:
            return (Editor.JUPYTERLAB, Editor.VSCODE)
        names = [editor.value for editor in Editor]
        editors = []
        for line, name in self.texts(fields["editors"], "editors"):
            if name in names:
                editors.append(Editor(name))
            else:
                self.problem(line, f"{name!r} is not an editor", f"use {' or '.join(names)}")
        return tuple(dict.fromkeys(editors))

    def _groups(self, fields: Mapping[str, Field]) -> frozenset[GroupName]:
        if "allowed_groups" not in fields:
            return frozenset()
        groups = set()
        for line, name in self.texts(fields["allowed_groups"], "allowed_groups"):
            try:
                groups.add(parse_group(name, self._domain))
            except PublicError as error:
                self.problem(line, error.message.removesuffix("."), error.hint.removesuffix("."))
        return frozenset(groups)

    def _environment(self, fields: Mapping[str, Field]) -> dict[str, str]:
        if "environment" not in fields:
            return {}
        node = fields["environment"].node
        if not isinstance(node, yaml.MappingNode):
            self.problem(line_of(node), "environment is not a mapping", "write NAME: value, one a line")
            return {}
        values = {}
        for key, value in node.value:
            name = str(key.value)
            if not _ENVIRONMENT_NAME.fullmatch(name) or name.startswith(("JUPYTERHUB_", "DEVPLATFORM_")):
                self.problem(
                    line_of(key), f"{name!r} cannot be set by a profile", "use letters, digits and underscores"
                )
            elif not isinstance(value, yaml.ScalarNode):
                self.problem(line_of(value), f"{name} is not text", "put the value in quotes")
            else:
                values[name] = str(value.value)
        return values

    def _slug(self, fields: Mapping[str, Field], node: yaml.Node, what: str) -> str:
        if "name" not in fields:
            if isinstance(node, yaml.MappingNode):
                self.problem(line_of(node), f"a {what} has no name", "add name: such as standard")
            return ""
        name = self.text(fields, "name") or ""
        if not _SLUG.fullmatch(name):
            self.problem(
                fields["name"].line, f"{name!r} is not a name", "use up to 40 small letters, digits and hyphens"
            )
        return name


def _parse_count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise ValueError(f"{text!r} is not a number of GPUs; write a whole number such as 1")
    return int(text)
