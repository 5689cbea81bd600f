"""What every test has: the lab marker, and an environment that does not leak in from the outside.

A test marked `lab("chromium", "fuse")` needs those tools (tests/lab/tools.py). Where one cannot be had the test is
skipped and the tool is listed at the end; with REQUIRE_LAB=1, as in CI, that is a failure.
"""

import os
from collections import Counter

import pytest
from hypothesis import HealthCheck, settings

from tests.lab.tools import TOOLS

# How fast a machine is at the moment says nothing about the code: neither drawing values nor running may be slow.
settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")

_OF_THE_RUN = {"DEVPLATFORM_CACHE"}
_LACKING = "is not on this machine:"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that a hub or a session would set is set, unless the test sets it."""
    for name in list(os.environ):
        if name.startswith(("JUPYTERHUB_", "MLFLOW_", "DEVPLATFORM_")) and name not in _OF_THE_RUN:
            monkeypatch.delenv(name)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, or fail in CI, what needs a tool that is not here."""
    for marker in item.iter_markers("lab"):
        for name in marker.args:
            find, remedy = TOOLS[name]
            if find() is None:
                message = f"{name} {_LACKING} {remedy}"
                if os.environ.get("REQUIRE_LAB"):
                    pytest.fail(message, pytrace=False)
                pytest.skip(message)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List the tools that were missing, with what would put them there."""
    # From the reports, which come from every process that runs tests.
    reasons = (str(report.longrepr[2]) for report in terminalreporter.stats.get("skipped", ()))
    missing = Counter(reason.removeprefix("Skipped: ") for reason in reasons if _LACKING in reason)
    if missing:
        terminalreporter.section("parts of the lab that this machine lacks")
        for message, count in sorted(missing.items()):
            terminalreporter.write_line(f"{message} ({count} tests skipped)")
