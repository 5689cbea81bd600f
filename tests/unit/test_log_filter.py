"""What was refused is one line of the log; what went wrong keeps its trace."""

import json
import logging
import logging.config
from typing import Any

import pytest
from tornado import web

from devplatform_hub.core.errors import PublicError
from devplatform_hub.log_filter import RefusalsWithoutTraces, without_traces
from devplatform_hub.spawning import as_refusal


def written(message: str, error: Exception) -> str:
    """What the filter and a plain formatter make of it."""
    record = logging.LogRecord("JupyterHub", logging.ERROR, __file__, 1, message, (), (type(error), error, None))
    assert RefusalsWithoutTraces().filter(record)
    return logging.Formatter("%(message)s").format(record)


def test_a_refusal_is_one_line() -> None:
    refusal = as_refusal(PublicError("100% full.", code="full", status=409))
    said = written("Failed to spawn", refusal)
    assert said.startswith("Failed to spawn: ")
    assert (said.count("\n"), "100% full. [full]" in said) == (0, True)


def test_a_body_that_is_no_json_is_one_line() -> None:
    error = json.JSONDecodeError("Expecting value", "{", 1)
    assert written("Couldn't parse JSON", error) == "Couldn't parse JSON: Expecting value: line 1 column 2 (char 1)"


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(ValueError("ours"), id="a fault"),
        pytest.param(web.HTTPError(500, "theirs"), id="an answer of the hub itself"),
        pytest.param(json.JSONDecodeError("of another", "{", 1), id="JSON that no person sent"),
    ],
)
def test_a_fault_keeps_its_trace(error: Exception) -> None:
    said = written("Failed to spawn", error)
    assert said.startswith("Failed to spawn\n")
    assert type(error).__name__ in said


def test_a_line_is_cut_where_it_is_longer_than_any_of_the_hub() -> None:
    """CVE-2026-54338 (anchors, row 12): an address or a name of any length is a line of a bounded one."""
    for message, arguments in (("%s", ("x" * 60_000,)), ("x" * 60_000, ()), ("%r and %d", ("x" * 60_000, 1))):
        record = logging.LogRecord("JupyterHub", logging.INFO, __file__, 1, message, arguments, None)
        assert RefusalsWithoutTraces().filter(record)
        said = logging.Formatter("%(message)s").format(record)
        assert len(said) < 4100
        assert said.endswith(" more)")
    short = logging.LogRecord("JupyterHub", logging.INFO, __file__, 1, "%s%%", ("y" * 3000,), None)
    assert RefusalsWithoutTraces().filter(short)
    assert short.getMessage() == "y" * 3000 + "%"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param({}, {"filters": ["devplatform-refusals"]}, id="nothing configured"),
        pytest.param(
            {"handlers": {"console": {"level": "INFO", "filters": ["theirs"]}}},
            {"level": "INFO", "filters": ["theirs", "devplatform-refusals"]},
            id="an operator's own filter",
        ),
    ],
)
def test_it_is_added_to_what_is_configured(given: dict[str, Any], expected: dict[str, Any]) -> None:
    """Twice is as once, and logging takes it."""
    once = without_traces(given)
    assert once["handlers"]["console"] == expected
    assert without_traces(once) == once
    made = logging.config.DictConfigurator(once).configure_filter(once["filters"]["devplatform-refusals"])
    assert isinstance(made, RefusalsWithoutTraces)


@pytest.mark.parametrize(
    ("message", "kept"),
    [
        pytest.param(
            "Service versions requested scopes b,custom:devplatform:versions:visit,a for user alice,"
            " granting only a,b.",
            False,
            id="what only administrators have",
        ),
        pytest.param(
            "Service versions requested scopes custom:devplatform:versions:visit,servers,a for user alice,"
            " granting only a.",
            True,
            id="and another besides",
        ),
        pytest.param("Service x requested scopes servers,a for user alice, granting only a.", True, id="another"),
    ],
)
def test_everybodys_sign_in_at_the_versions_is_no_warning(message: str, kept: bool) -> None:
    """JupyterHub warns of each person who lacks a scope that a service asks for."""
    record = logging.LogRecord("JupyterHub", logging.WARNING, __file__, 1, message, (), None)
    assert RefusalsWithoutTraces().filter(record) is kept
