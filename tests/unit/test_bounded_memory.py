"""What strangers, or everybody together, can make the hub remember: each of it has a bound, and is known here."""

import ast
import asyncio
from pathlib import Path

import pytest

import devplatform_hub
from devplatform_hub.authenticators.grants import FreshGrants, Grant
from devplatform_hub.authenticators.sessions import Arrivals, Binding
from devplatform_hub.core.identity import Identity
from devplatform_hub.directory import remote
from devplatform_hub.directory.remote import RemoteGroupDirectory
from devplatform_hub.ports import DirectoryUnavailable
from devplatform_hub.servicekit.identity import HubSignIn

_ROOT = Path(devplatform_hub.__file__).parent
_FOLDERS = ("authenticators", "directory", "servicekit")
_GROWING = {"dict", "set", "list", "OrderedDict", "WeakValueDictionary", "Counter", "deque", "defaultdict", "Answers"}
BOUNDS = {
    "authenticators/access_notes.py _without_answer": "10,000 (test_access_notes)",
    "authenticators/base.py _endings": "tasks that stop servers, taken out when they are done",
    "authenticators/grants.py _grants": "the newest 20,000 (test_grants_are_bounded)",
    "authenticators/id_tokens.py _keys": "the issuer's own keys, replaced as a whole",
    "authenticators/last_answers.py _at": "the newest 20,000 (test_the_last_answers_are_bounded)",
    "authenticators/oidc.py metadata": "what the provider says of itself, replaced as a whole",
    "authenticators/provider.py _asking": "gone with the last who holds it",
    "authenticators/review.py _under_way": "one for each person with a server, taken out when it is done",
    "authenticators/sessions.py _arriving": "members only, for a minute (test_arrivals_are_bounded)",
    "authenticators/throttle.py _guesses": "the newest 4,096 (test_memory_is_bounded)",
    "directory/answers.py _asking": "questions under way, taken out when they are done",
    "directory/answers.py _kept": "answers_kept (test_answers_end_and_are_bounded)",
    "directory/google.py _walked": "answers_kept (test_google_directory)",
    "directory/json_shapes.py _seen": "pages of one look-up (test_pages_end)",
    "directory/remote.py _apis": "made with the directory",
    "directory/remote.py _warned": "1,000 (test_warnings_are_bounded)",
    "servicekit/audit.py _told": "paths of the audit's file",
    "servicekit/identity.py values": "10,000 (test_forgets_the_oldest_answer, test_sign_ins_under_way_are_bounded)",
}
"""Every container that an object keeps, and why it cannot grow without end. What is new belongs here with its test."""
_INHERITED = "servicekit/identity.py values"
"""JupyterHub's, which grows without end."""


def containers(path: Path) -> set[str]:
    """The names of attributes and module variables of this file that are made as an empty container."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            value = node.value
            called = value.func.id if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) else ""
            is_empty = (isinstance(value, ast.Dict) and not value.keys) or (
                isinstance(value, ast.List) and not value.elts
            )
            is_empty = is_empty or (called in _GROWING and not getattr(value, "args", None))
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if is_empty and isinstance(target, ast.Attribute):
                    found.add(target.attr)
                elif is_empty and isinstance(target, ast.Name) and target.id.startswith("_") and target.col_offset == 0:
                    found.add(target.id)
    return found


def test_everything_that_grows_is_known() -> None:
    """CVE-2026-34052 (anchors, row 21): a container that is added without a bound fails here."""
    found = {
        f"{folder}/{path.name} {name}"
        for folder in _FOLDERS
        for path in (_ROOT / folder).glob("*.py")
        for name in containers(path)
    }
    assert found | {_INHERITED} == set(BOUNDS)


async def test_grants_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """CVE-2026-34052 (anchors, row 21): of however many sign-ins, so many grants are kept, the newest."""
    monkeypatch.setattr("devplatform_hub.authenticators.grants._KEPT_AT_MOST", 3)
    grants = FreshGrants()
    people = [Identity("p", str(number), f"person{number}") for number in range(5)]
    for person in people:
        grants.put(person, Grant(f"token-{person.subject}", "", "", {}))
    assert len(grants._grants) == 3
    assert await grants.token_of(people[4]) == "token-4"
    with pytest.raises(DirectoryUnavailable):
        await grants.token_of(people[0])


def test_arrivals_are_bounded() -> None:
    """CVE-2026-34052 (anchors, row 21): whoever never arrived is forgotten after a minute."""
    now = [0.0]
    arrivals = Arrivals(clock=lambda: now[0])
    for number in range(1000):
        now[0] += 1
        name = f"person{number}"
        arrivals.put(name, Binding.of(Identity("p", name, name), ""))
    assert len(arrivals._arriving) == 60


def test_warnings_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """CVE-2026-34052 (anchors, row 21): of groups without a name so many are told and remembered."""
    monkeypatch.setattr(remote, "_WARNED_AT_MOST", 3)
    directory = RemoteGroupDirectory(provider="p")
    assert directory._nameable((f"group {number}", None) for number in range(10)) == frozenset()
    assert len(directory._warned) == 3


def test_sign_ins_under_way_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """CVE-2026-34052 (anchors, row 21): of strangers who open pages of a service not all are remembered."""
    monkeypatch.setattr("devplatform_hub.servicekit.identity._MAX_REMEMBERED", 50)
    auth = HubSignIn(api_token="t", api_url="http://127.0.0.1:9/hub/api", base_url="/services/sample/")
    long = "/services/sample/" + "x" * 5000
    states = [
        auth.generate_state(next_url=long if number % 2 else f"/services/sample/{number}") for number in range(99)
    ]
    assert len(auth._oauth_states.values) == 50
    assert (auth.get_next_url(states[98]), auth.get_next_url(states[97]), auth.get_next_url(states[0])) == (
        "/services/sample/98", "/services/sample/", "/services/sample/",
    )  # fmt: skip
    assert auth.get_next_url(auth.generate_state(next_url="//evil.example")) == "/services/sample/"


async def test_a_question_is_forgotten_when_it_is_answered() -> None:
    """CVE-2026-34052 (anchors, row 21): also when nobody waits for the answer any more."""
    from devplatform_hub.directory.answers import Answers

    answers: Answers[int, int] = Answers(lifetime=0, size=1, clock=lambda: 0.0)

    async def ask() -> int:
        await asyncio.sleep(0)
        return 1

    waiting = [asyncio.ensure_future(answers.get(number, ask)) for number in range(50)]
    await asyncio.sleep(0)
    assert len(answers._asking) == 50
    for task in waiting[::2]:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    await asyncio.sleep(0)
    assert (len(answers._asking), len(answers)) == (0, 0)
