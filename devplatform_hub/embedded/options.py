"""Options that several commands take: `--data`, and `--set CLASS.TRAIT=VALUE` for any setting."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ..core.errors import PublicError


def data_option(says: str = "The folder that holds everything this platform knows.") -> Callable[[Any], Any]:
    """`--data`, a path that may not be there."""
    return click.option(
        "--data",
        type=click.Path(path_type=Path),
        default=Path(".devplatform"),
        envvar="DEVPLATFORM_DATA",
        show_default=True,
        help=says,
    )


settings_option = click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="CLASS.TRAIT=VALUE",
    help="A JupyterHub, spawner or service setting, such as EmbeddedSpawner.start_timeout=120. Repeatable.",
)


def parse_settings(given: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Traits by class; values are JSON where they can be read so, else text. Raises `PublicError`."""
    settings: dict[str, dict[str, Any]] = {}
    for text in given:
        target, equals, value = text.partition("=")
        name, dot, trait = target.partition(".")
        if not (equals and dot and name.isidentifier() and trait.isidentifier()):
            raise PublicError(
                f"--set {text!r} is not a setting.",
                code="setting-invalid",
                hint="Write it as CLASS.TRAIT=VALUE, such as EmbeddedSpawner.start_timeout=120.",
            )
        try:
            settings.setdefault(name, {})[trait] = json.loads(value)
        except ValueError:
            settings.setdefault(name, {})[trait] = value
    return settings
