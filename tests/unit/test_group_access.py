"""Settings of the sign-in that would break its one rule are refused when the hub starts."""

import asyncio
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from traitlets import TraitError
from traitlets.config import Config

from devplatform_hub.authenticators.local import LocalAuthenticator, Ticket, TooManyTries
from devplatform_hub.authenticators.refusals import SignInRefused
from devplatform_hub.authenticators.sessions import Binding
from devplatform_hub.core.errors import PublicError
from devplatform_hub.core.identity import Identity


def make(folder: Path, **traits: Any) -> LocalAuthenticator:
    config = Config()
    config.LocalAuthenticator.users_file = str(folder / "users.yaml")
    for name, value in traits.items():
        setattr(config.LocalAuthenticator, name, value)
    authenticator = LocalAuthenticator(config=config)
    authenticator.check_allow_config()
    return authenticator


def test_the_defaults_let_nobody_in_by_themselves(tmp_path: Path) -> None:
    """Groups decide, are managed here, and stale tokens are refused."""
    authenticator = make(tmp_path)
    assert (authenticator.allow_all, authenticator.manage_groups, authenticator.any_allow_config) == (False, True, True)
    assert authenticator.auth_refresh_age == 30
    assert getattr(authenticator, "auth_refresh_strict", True) is True
    assert authenticator.check_allowed("alice", None) is False
    assert authenticator.check_allowed("alice", {"name": "alice"}) is False


@pytest.mark.parametrize(
    ("traits", "said"),
    [
        pytest.param({"allow_all": True}, "allow_all has no place here", id="allow_all"),
        pytest.param({"allowed_users": {"eve"}}, "allowed_users has no place here", id="allowed_users"),
        pytest.param({"admin_users": {"eve"}}, "admin_users has no place here", id="admin_users"),
        pytest.param({"allow_existing_users": True}, "allow_existing_users has no place here", id="existing"),
        pytest.param({"manage_groups": False}, "manage_groups has to be true", id="manage_groups"),
        pytest.param({"auth_refresh_age": 0}, "auth_refresh_age has to be above 0", id="no refresh"),
        pytest.param({"users_group": ""}, "users_group: '' is not a group name", id="empty users group"),
        pytest.param({"admin_group": "x"}, "admin_group is no setting. Did you mean admins_group", id="misspelt"),
        pytest.param({"admins_group": "a b"}, "admins_group: 'a b' is not a group name", id="admins group"),
        pytest.param({"admins_group": "developer-platform-users"}, "use two groups", id="everybody an administrator"),
    ],
)
def test_settings_that_are_refused(tmp_path: Path, traits: dict[str, Any], said: str) -> None:
    """CVE-2020-26250 (anchors, row 3): neither silently ignored nor obeyed."""
    with pytest.raises((TraitError, ValueError), match=said):
        make(tmp_path, **traits)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("alice", True), ("Alice", False), ("a/b", False), ("", False), ("x" * 65, False), ("..", False)],
)
def test_names_the_hub_may_use(tmp_path: Path, name: str, expected: bool) -> None:
    """Also for people that an administrator adds through the API."""
    assert make(tmp_path).validate_username(name) is expected


async def test_hashing_is_bounded(tmp_path: Path) -> None:
    """Two passwords are hashed at once, 40 more wait, and whoever comes after them is asked to come back."""
    authenticator = make(tmp_path)
    running, most = 0, 0
    lock = threading.Lock()

    def job() -> bool:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.002)
        with lock:
            running -= 1
        return True

    answers = await asyncio.gather(*(authenticator._work(job) for _ in range(60)), return_exceptions=True)
    assert most == 2
    assert [answer for answer in answers if answer is True] == [True] * 40
    refused = [answer for answer in answers if isinstance(answer, TooManyTries)]
    assert len(refused) == 20
    assert refused[0].headers == {"Retry-After": "2"}
    assert await authenticator._work(job) is True


async def test_a_broken_file_is_not_described_to_whoever_chooses_a_password(tmp_path: Path) -> None:
    """Paths and lines are for the log; the page says that it cannot be done now."""
    authenticator = make(tmp_path)
    authenticator.users.path.write_text("schema: 1\nusers: [")
    with pytest.raises(SignInRefused) as refused:
        await authenticator.choose_password(Ticket("alice", "0" * 64), "correct horse", "correct horse", "::1")
    assert refused.value.problem.code == "directory-unavailable"
    assert str(tmp_path) not in refused.value.jupyterhub_message
    assert authenticator.users.path.read_text() == "schema: 1\nusers: ["


def test_a_refusal_is_escaped_on_the_hubs_own_error_page() -> None:
    """JupyterHub shows this text unescaped."""
    refusal = SignInRefused(PublicError("<b>bold</b>", code="a-code", hint="<script>"))
    assert refusal.jupyterhub_html_message == "&lt;b&gt;bold&lt;/b&gt; &lt;script&gt; (<code>a-code</code>)"


def test_a_session_belongs_to_a_subject_in_one_state() -> None:
    """Another epoch or subject is another session; what was ended holds for nobody; an unbound one neither."""
    alice, other = Identity("local", "a" * 8, "alice"), Identity("local", "b" * 8, "alice")
    cookie_id = Binding.of(alice, "1").new_cookie_id()
    assert Binding.of(alice, "1").holds(cookie_id)
    assert not Binding.of(alice, "2").holds(cookie_id)
    assert not Binding.of(other, "1").holds(cookie_id)
    assert (Binding.is_of_another(cookie_id, alice), Binding.is_of_another(cookie_id, other)) == (False, True)
    ended = Binding.ended(cookie_id)
    assert Binding.is_ended(ended)
    assert not Binding.of(alice, "1").holds(ended)
    assert (Binding.is_of_another(ended, alice), Binding.is_of_another(ended, other)) == (False, True)
    unbound = "0123456789abcdef0123456789abcdef"
    assert not Binding.of(alice, "1").holds(unbound)
    assert not Binding.is_of_another(unbound, alice)
    assert not Binding.is_of_another(Binding.ended(unbound), alice)
    assert alice.subject not in cookie_id
