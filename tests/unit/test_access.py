"""Who may come in and who administers, from groups and rules alone."""

import pytest

from devplatform_hub.core.access import DEFAULT_ADMINS_GROUP, DEFAULT_USERS_GROUP, Access, AccessRules, decide_access
from devplatform_hub.core.identity import GroupName, parse_group

USERS, ADMINS = parse_group(DEFAULT_USERS_GROUP), parse_group(DEFAULT_ADMINS_GROUP)
OTHER = parse_group("data-team")
RULES = AccessRules(USERS, ADMINS)
MEMBER = ("is a member of developer-platform-users",)
ADMIN = ("is a member of developer-platform-admins, who administer the platform",)
OUTSIDE = ("is not a member of developer-platform-users",)


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        pytest.param({USERS}, Access(True, False, frozenset({USERS}), MEMBER), id="user"),
        pytest.param({USERS, ADMINS}, Access(True, True, frozenset({USERS, ADMINS}), ADMIN), id="both"),
        pytest.param({ADMINS}, Access(True, True, frozenset({ADMINS}), ADMIN), id="administrator only"),
        pytest.param({OTHER}, Access(False, False, frozenset({OTHER}), OUTSIDE, USERS), id="another group"),
        pytest.param(set(), Access(False, False, frozenset(), OUTSIDE, USERS), id="no group"),
    ],
)
def test_decisions(groups: set[GroupName], expected: Access) -> None:
    """Membership of the users or the administrators lets in, and nothing else does."""
    assert decide_access(groups, RULES) == expected


def test_a_group_of_another_domain_does_not_count() -> None:
    """`developer-platform-admins` of a partner opens nothing."""
    look_alike = parse_group(f"{DEFAULT_ADMINS_GROUP}@partner.com")
    assert decide_access({look_alike}, RULES).allowed is False


@pytest.mark.parametrize(
    ("held", "limited_to", "expected"),
    [
        pytest.param({USERS}, set(), True, id="no limit"),
        pytest.param({USERS, OTHER}, {OTHER}, True, id="in the group"),
        pytest.param({USERS}, {OTHER}, False, id="not in the group"),
        pytest.param({ADMINS}, {OTHER}, True, id="administrators see everything"),
    ],
)
def test_what_is_limited_to_groups(held: set[GroupName], limited_to: set[GroupName], expected: bool) -> None:
    """A profile for one group is open to its members and to administrators."""
    assert decide_access(held, RULES).in_any(frozenset(limited_to)) is expected
