"""Roles that groups bring: none of them lets its holder become more than they are."""

from typing import Any

import pytest

from devplatform_hub.core.group_roles import PLATFORM_ROLES, groups_of_roles, problem_of, promoting
from devplatform_hub.core.identity import parse_group


@pytest.mark.parametrize(
    ("scopes", "expected"),
    [
        pytest.param(["self", "access:servers!group=data", "list:users", "users"], [], id="harmless"),
        pytest.param(["tokens!user"], [], id="their own tokens"),
        pytest.param(["admin:users"], ["admin:users"], id="CVE-2024-41942"),
        pytest.param(
            ["admin:users!group=data"], ["admin:users!group=data"], id="GHSA-69wv-m5fw-2fhp, users of a group"
        ),
        pytest.param(["admin:groups!group=data"], ["admin:groups!group=data"], id="GHSA-69wv-m5fw-2fhp, groups"),
        pytest.param(["groups"], ["groups"], id="members of groups"),
        pytest.param(["tokens!group=data"], ["tokens!group=data"], id="tokens of others"),
        pytest.param(["admin:auth_state!user=eve"], ["admin:auth_state!user=eve"], id="tokens of the provider"),
        pytest.param(["inherit", "self"], ["inherit"], id="everything of another"),
    ],
)
def test_scopes_that_promote(scopes: list[str], expected: list[str]) -> None:
    """With a filter too."""
    assert promoting(scopes) == expected


@pytest.mark.parametrize(
    ("granted", "defined", "said"),
    [
        pytest.param(["jupyter-user", "jupyter-admin"], [], "", id="of the platform"),
        pytest.param(["lead"], [{"name": "lead", "scopes": ["list:users"]}], "", id="of the operator"),
        pytest.param(["lead"], [], "there is no role 'lead'", id="undefined"),
        pytest.param(["admin"], [], "'admin' is a role that JupyterHub itself gives", id="admin"),
        pytest.param(["lead"], [{"name": "lead", "scopes": ["tokens"]}], "'lead' has tokens", id="promoting"),
        pytest.param(
            ["jupyter-user"],
            [{"name": "jupyter-user", "scopes": ["admin:users"]}],
            "'jupyter-user' has admin:users",
            id="the platform's own, made promoting",
        ),
        pytest.param(["lead"], [{"name": "lead", "groups": ["x"]}], "names people or groups", id="named twice"),
    ],
)
def test_roles_that_cannot_be_granted(granted: list[str], defined: list[dict[str, Any]], said: str) -> None:
    """Said when the hub starts."""
    problem = problem_of(granted, defined)
    assert (problem == "") if not said else (said in problem)


def test_the_platforms_own_roles_promote_nobody() -> None:
    """Neither of them, and not by accident of a later change."""
    assert [promoting(role["scopes"]) for role in PLATFORM_ROLES] == [[], []]


def test_roles_with_their_groups() -> None:
    """A role of two groups has both."""
    one, two = parse_group("a@x.com"), parse_group("b@x.com")
    assert groups_of_roles({two: ["lead"], one: ["lead", "help"]}) == {"lead": [one, two], "help": [one]}
