"""The colours of the services' pages: by the device's preference, and by what a person chose at the hub."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser

import devplatform_hub.servicekit
import devplatform_versions

pytestmark = pytest.mark.lab("chromium")

FILES = [
    Path(devplatform_hub.servicekit.__file__).parent / "static/kit.css",
    *(Path(devplatform_versions.__file__).parent / "static" / name for name in ("code.css", "versions.css")),
]
LIGHT = {"--ground": "rgb(255, 255, 255)", "--text": "rgb(29, 36, 48)", "--code-number": "rgb(11, 87, 164)"}
DARK = {"--ground": "rgb(20, 24, 31)", "--text": "rgb(230, 234, 240)", "--code-number": "rgb(143, 196, 255)"}


@pytest.mark.parametrize(
    ("preference", "chosen", "expected"),
    [
        pytest.param("light", "", LIGHT, id="light"),
        pytest.param("dark", "", DARK, id="dark"),
        pytest.param("light", "dark", DARK, id="dark by choice"),
        pytest.param("dark", "light", LIGHT, id="light by choice"),
        pytest.param("dark", "dark", DARK, id="dark by both"),
    ],
)
def test_a_choice_goes_before_the_preference(
    browser: Browser, preference: str, chosen: str, expected: dict[str, str]
) -> None:
    """For every colour: also the browser's own controls and scroll bars."""
    css = "\n".join(file.read_text() for file in FILES)
    names = sorted(set(re.findall(r"(--[a-z-]+):", css)))
    spots = "".join(f'<i id="{name}" style="background: var({name})"></i>' for name in names)
    context = browser.new_context(color_scheme="dark" if preference == "dark" else "light")
    page = context.new_page()
    attribute = f' data-bs-theme="{chosen}"' if chosen else ""
    page.set_content(f"<!doctype html><html{attribute}><style>{css}</style>{spots}")
    script = """names => Object.fromEntries(
        names.map(name => [name, getComputedStyle(document.getElementById(name)).backgroundColor]))"""
    colours = page.evaluate(script, names)
    context.close()
    assert {name: colours[name] for name in expected} == expected
    assert [name for name, colour in colours.items() if not colour.startswith("rgb(")] == []
