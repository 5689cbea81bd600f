"""Reading `profiles.yaml`, and saying of every mistake where it is, what is wrong and what would be right."""

import re
from collections.abc import Mapping

import yaml

from .cluster_yaml import Limits, read_cluster
from .errors import DevPlatformError, PublicError
from .identity import LOCAL_DOMAIN, GroupName, parse_group
from .limits_yaml import read_limits
from .profiles import Catalog, Choice, Editor, Gpu, Profile, ProfileOption
from .quantities import parse_cpu, parse_size
from .yaml_fields import Field, FieldReader, line_of, shown

# Never two hyphens in a row: they part a profile from its option in the names of form fields.
_SLUG = re.compile(r"(?!.*--)[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
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
    "cluster",
)
_OPTION_KEYS = ("name", "display_name", "choices")
_CHOICE_KEYS = ("name", "display_name", "default", "allowed_groups", "cpu", "memory", "gpu", "environment", "cluster")
_RESERVED_OPTIONS = {"editor"}  # the form's own question
_GPU_RESOURCE = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,100}[a-z0-9])?/[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_GPU_COUNT = re.compile(r"[1-9][0-9]?")
_PLATFORM_PREFIXES = ("JUPYTERHUB_", "DEVPLATFORM_")


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
        fields = self.fields(root, ("profiles", "limits"), "the file")
        listed = fields.get("profiles")
        if listed is None:
            if isinstance(root, yaml.MappingNode):
                self.problem(1, "there is no list of profiles", "start the file with profiles:")
            return None
        nodes = list(self.items(listed.node, "profiles"))
        if not nodes and isinstance(listed.node, yaml.SequenceNode):
            self.problem(listed.line, "the list of profiles is empty", "describe at least one profile")
        found = [(node, self._profile(node)) for node in nodes]
        self.unique([(node, profile.slug) for node, profile in found if profile.slug], "profile")
        defaults = [(node, profile) for node, profile in found if profile.default]
        if found and not defaults:
            self.problem(listed.line, "no profile is the default", "add default: true to exactly one profile")
        for node, profile in defaults[1:]:
            wrong = f"{shown(profile.slug)} is a second default"
            self.problem(line_of(node), wrong, f"keep default: true only on {shown(defaults[0][1].slug)}")
        limits = read_limits(self, fields["limits"], self._groups) if "limits" in fields else ()
        return Catalog(tuple(profile for _, profile in found), limits)

    def _profile(self, node: yaml.Node) -> Profile:
        fields = self.fields(node, _PROFILE_KEYS, "a profile")
        slug = self._slug(fields, node, "profile")
        cpu = self.amount(fields, "cpu", parse_cpu) or 0
        memory = self.amount(fields, "memory", parse_size) or 0
        gpu = self._gpu(fields)
        limits = Limits(cpu, memory, has_gpu=gpu is not None)
        profile = Profile(
            slug=slug,
            display_name=self.text(fields, "display_name") or slug,
            description=self.text(fields, "description") or "",
            cpu=cpu,
            memory=memory,
            gpu=gpu,
            default=self.flag(fields, "default"),
            editors=self._editors(fields),
            options=self._options(fields, limits),
            allowed_groups=self._groups(fields),
            idle_timeout=self.limit(fields, "idle_timeout", 3600),
            max_age=self.limit(fields, "max_age", None),
            environment=self._environment(fields),
            cluster=read_cluster(self, fields, limits),
        )
        for key, example in (("cpu", "cpu: 2"), ("memory", "memory: 8G")):
            if key not in fields and isinstance(node, yaml.MappingNode):
                self.problem(line_of(node), f"profile {shown(slug)} has no {key}", f"add {example}")
        return profile

    def _options(self, fields: Mapping[str, Field], limits: Limits) -> tuple[ProfileOption, ...]:
        if "options" not in fields:
            return ()
        options = []
        for node in self.items(fields["options"].node, "options"):
            inner = self.fields(node, _OPTION_KEYS, "an option")
            slug = self._slug(inner, node, "option")
            if slug in _RESERVED_OPTIONS:
                self.problem(line_of(node), f"an option cannot be named {shown(slug)}", "choose another name")
            choices = self._choices(inner, node, slug, limits)
            if choices:
                options.append((node, ProfileOption(slug, self.text(inner, "display_name") or slug, choices)))
        self.unique([(node, option.slug) for node, option in options], "option")
        return tuple(option for _, option in options)

    def _choices(self, fields: Mapping[str, Field], option: yaml.Node, name: str, limits: Limits) -> tuple[Choice, ...]:
        if "choices" not in fields:
            self.problem(
                line_of(option), f"option {shown(name)} has no choices", "add choices: with at least one entry"
            )
            return ()
        found = []
        for node in self.items(fields["choices"].node, "choices"):
            inner = self.fields(node, _CHOICE_KEYS, "a choice")
            slug = self._slug(inner, node, "choice")
            cpu = self.amount(inner, "cpu", parse_cpu)
            memory = self.amount(inner, "memory", parse_size)
            gpu = self._gpu(inner)
            above = Limits(cpu or limits.cpu, memory or limits.memory, has_gpu=limits.has_gpu or gpu is not None)
            choice = Choice(
                slug=slug,
                display_name=self.text(inner, "display_name") or slug,
                default=self.flag(inner, "default"),
                allowed_groups=self._groups(inner),
                cpu=cpu,
                memory=memory,
                gpu=gpu,
                environment=self._environment(inner),
                cluster=read_cluster(self, inner, above),
            )
            found.append((node, choice))
        self.unique([(node, choice.slug) for node, choice in found if choice.slug], "choice")
        if sum(choice.default for _, choice in found) != 1:
            self.problem(
                line_of(option),
                f"option {shown(name)} needs one default choice",
                "add default: true to exactly one choice",
            )
            return ()
        return tuple(choice for _, choice in found)

    def _gpu(self, fields: Mapping[str, Field]) -> Gpu | None:
        if "gpu" not in fields:
            return None
        field = fields["gpu"]
        if not isinstance(field.node, yaml.MappingNode):
            self.problem(field.line, "gpu is not a mapping", "write gpu: {count: 1}")
            return None
        inner = self.fields(field.node, ("count", "resource"), "gpu")
        if "count" not in inner:
            self.problem(field.line, "gpu has no count", "write gpu: {count: 1}")
        count = self.amount(inner, "count", _parse_count) or 1
        resource = self.text(inner, "resource") or Gpu(1).resource
        if not _GPU_RESOURCE.fullmatch(resource):
            self.problem(
                inner["resource"].line,
                f"{shown(resource)} is not a resource of Kubernetes",
                "write it as vendor and name, such as nvidia.com/gpu",
            )
        return Gpu(count, resource)

    def _editors(self, fields: Mapping[str, Field]) -> tuple[Editor, ...]:
        if "editors" not in fields:
            return (Editor.JUPYTERLAB, Editor.VSCODE)
        names = [editor.value for editor in Editor]
        editors = []
        for line, name in self.texts(fields["editors"], "editors"):
            if name in names:
                editors.append(Editor(name))
            else:
                self.problem(line, f"{shown(name)} is not an editor", f"use {' or '.join(names)}")
        if isinstance(fields["editors"].node, yaml.SequenceNode) and not fields["editors"].node.value:
            self.problem(fields["editors"].line, "editors is empty", "leave it out to offer all of them, or name one")
        return tuple(dict.fromkeys(editors))

    def _groups(self, fields: Mapping[str, Field]) -> frozenset[GroupName]:
        if "allowed_groups" not in fields:
            return frozenset()
        field = fields["allowed_groups"]
        if isinstance(field.node, yaml.SequenceNode) and not field.node.value:
            # It could be read as nobody or as everybody, and a wrong guess opens what was meant to be closed.
            self.problem(field.line, "allowed_groups is empty", "leave it out to allow everybody, or name a group")
        groups = set()
        for line, name in self.texts(field, "allowed_groups"):
            try:
                groups.add(parse_group(name, self._domain))
            except PublicError:
                self.problem(
                    line, f"{shown(name)} is not a group", "write it such as data-team or data-team@example.com"
                )
        return frozenset(groups)

    def _environment(self, fields: Mapping[str, Field]) -> dict[str, str]:
        if "environment" not in fields:
            return {}
        node = fields["environment"].node
        if not isinstance(node, yaml.MappingNode):
            self.problem(line_of(node), "environment is not a mapping", "write NAME: value, one a line")
            return {}
        values: dict[str, str] = {}
        lines: dict[str, int] = {}
        for key, value in node.value:
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else ""
            if not _ENVIRONMENT_NAME.fullmatch(name):
                wrong = f"{shown(name)} is not the name of a variable"
                self.problem(line_of(key), wrong, "use letters, digits and underscores, such as OMP_NUM_THREADS")
            elif name.startswith(_PLATFORM_PREFIXES):
                wrong = f"{shown(name)} belongs to the platform"
                self.problem(
                    line_of(key), wrong, f"choose a name that starts with neither {' nor '.join(_PLATFORM_PREFIXES)}"
                )
            elif name in lines:
                self.twice(line_of(key), name, lines[name])
            elif not isinstance(value, yaml.ScalarNode) or "\0" in value.value:
                self.problem(line_of(value), f"{shown(name)} is not text", "put the value in quotes")
            else:
                values[name], lines[name] = str(value.value), line_of(key)
        return values

    def _slug(self, fields: Mapping[str, Field], node: yaml.Node, what: str) -> str:
        if "name" not in fields:
            if isinstance(node, yaml.MappingNode):
                self.problem(line_of(node), f"a {what} has no name", "add name: such as standard")
            return ""
        name = self.text(fields, "name") or ""
        if not _SLUG.fullmatch(name):
            self.problem(
                fields["name"].line,
                f"{shown(name)} is not a name",
                "use up to 40 small letters, digits and single hyphens",
            )
        return name


def _parse_count(text: str) -> int:
    if not _GPU_COUNT.fullmatch(text):
        raise ValueError(f"{shown(text)} is not a number of GPUs; write a whole number from 1 to 99")
    return int(text)
