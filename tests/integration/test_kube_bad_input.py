"""Whatever the form would not offer is refused, with the option's name and its values, whichever way it comes."""

import html
import json
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.integration.product import Visitor
from tests.lab.cluster import Cluster
from tests.lab.cluster_hub import ClusterHub, cluster_hub

pytestmark = pytest.mark.lab("cluster", "proxy")

PROFILES = """\
profiles:
  - name: standard
    cpu: 100m
    memory: 100M
    default: true
    options:
      - name: size
        display_name: How large
        choices:
          - {name: small, default: true}
          - {name: big, cpu: 200m}
          - {name: huge, cpu: 300m, allowed_groups: [painters]}
  - name: other
    cpu: 100m
    memory: 100M
    editors: [jupyterlab]
    options:
      - {name: image, choices: [{name: plain, default: true}, {name: fancy}]}
  - {name: closed, display_name: Closed shop, cpu: 100m, memory: 100M, allowed_groups: [painters]}
"""
INVALID = "session-options-invalid"
ALL = (
    "There are profile (standard, other), editor (jupyterlab, vscode), "
    "options of standard (size: small, big) and safe (true, false). "
    f"[{INVALID}]"
)
SCRIPT = "<script>alert(1)</script>"
FORGED = "standard\n[I 2030-01-01 00:00:00.000 JupyterHub app:1] all is well"


@pytest.fixture(scope="module")
def hub(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterHub]:
    """One hub for the whole table: nothing of it may leave anything behind."""
    namespace = cluster.namespace(f"bad-input-{secrets.token_hex(4)}")
    groups = {
        "developer-platform-users": ["alice", "root"],
        "developer-platform-admins": ["root"],
        "strangers": ["eve"],
    }
    folder = tmp_path_factory.mktemp("bad-input")
    with cluster_hub(cluster, folder, namespace=namespace, profiles=PROFILES, groups=groups) as hub:
        yield hub
    cluster.kubectl("delete", "namespace", namespace, "--wait=false")


@pytest.fixture
def untouched(hub: ClusterHub) -> Iterator[None]:
    """No pod, no server, no stack trace, and no line that somebody wrote into the log by what they sent."""
    yield
    assert hub.pods() == []
    assert hub.server("alice") == {}
    assert "Traceback" not in hub.log
    assert "all is well" not in [line.rpartition("] ")[2] for line in hub.log.splitlines()]


@pytest.fixture(scope="module")
def tokens(hub: ClusterHub) -> dict[str, str]:
    return {name: hub.token_of(name) for name in ("alice", "eve")}


def post(hub: ClusterHub, token: str, path: str, body: bytes) -> requests.Response:
    return requests.post(
        f"{hub.origin}/hub/api{path}", data=body, headers={"Authorization": f"token {token}"}, timeout=30
    )


def written(value: Any) -> bytes:
    """As JSON, however deep: the encoder of Python ends where its decoder goes on."""
    if isinstance(value, list) and len(value) == 1:
        depth = 0
        while isinstance(value, list) and len(value) == 1:
            value, depth = value[0], depth + 1
        return b"[" * depth + written(value) + b"]" * depth
    if isinstance(value, dict):
        return b"{" + b", ".join(written(str(key)) + b": " + written(found) for key, found in value.items()) + b"}"
    return json.dumps(value).encode()


def nested(depth: int) -> Any:
    """Lists in lists."""
    found: list[Any] = []
    for _ in range(depth):
        found = [found]
    return found


TABLE = [
    pytest.param(
        {"profile": "nope"},
        (400, "profile-unknown"),
        "There is no profile 'nope'. Choose one of: standard, other. [profile-unknown]",
        id="unknown profile",
    ),
    pytest.param(
        {"profile": "closed"},
        (403, "profile-unavailable"),
        "The profile Closed shop (closed) is not available to you: Only for members of painters. "
        "Choose one of: standard, other. [profile-unavailable]",
        id="profile of another group",
    ),
    pytest.param(
        {"profile": "Standard"},
        (400, "profile-unknown"),
        "There is no profile 'Standard'. Choose one of: standard, other. [profile-unknown]",
        id="a profile by what the page calls it",
    ),
    *(
        pytest.param(
            {"profile": value},
            (400, INVALID),
            "The options for this server are not valid: 'profile' must be one text. "
            f"profile takes one of: standard, other. [{INVALID}]",
            id=f"profile as {kind}",
        )
        for kind, value in {
            "null": None,
            "a number": 1,
            "a fraction": 1.5,
            "a truth": True,
            "a list": ["standard"],
            "an object": {"name": "standard"},
            "lists in lists": nested(200),
            "lists that can be read and not written": nested(970),
        }.items()
    ),
    *(
        pytest.param(
            {"editor": value},
            (400, INVALID),
            "The options for this server are not valid: 'editor' must be one text. "
            f"editor takes one of: jupyterlab, vscode. [{INVALID}]",
            id=f"editor as {kind}",
        )
        for kind, value in {"a number": 0, "a list": ["vscode"], "an object": {}, "a truth": False}.items()
    ),
    pytest.param(
        {"editor": "vim"},
        (400, "editor-unavailable"),
        "standard has no editor 'vim'. Choose one of: jupyterlab, vscode. [editor-unavailable]",
        id="unknown editor",
    ),
    pytest.param(
        {"profile": "other", "editor": "vscode"},
        (400, "editor-unavailable"),
        "other has no editor 'vscode'. Choose one of: jupyterlab. [editor-unavailable]",
        id="an editor that this profile does not have",
    ),
    *(
        pytest.param(
            {"options": value},
            (400, INVALID),
            f"The options for this server are not valid: options must map an option to a choice. {ALL}",
            id=f"options as {kind}",
        )
        for kind, value in {"null": None, "text": "size=big", "a number": 7, "a list": [["size", "big"]]}.items()
    ),
    *(
        pytest.param(
            {"options": {"size": value}},
            (400, INVALID),
            "The options for this server are not valid: 'options.size' must be one text. "
            f"options.size takes one of: small, big. [{INVALID}]",
            id=f"a choice as {kind}",
        )
        for kind, value in {
            "null": None,
            "a number": 1,
            "a list": ["big"],
            "an object": {"cpu": 64},
            "lists in lists": nested(200),
        }.items()
    ),
    pytest.param(
        {"options": {"colour": "red"}},
        (400, "option-unknown"),
        "standard has no option 'colour'. It has: size. [option-unknown]",
        id="unknown option",
    ),
    pytest.param(
        {"profile": "standard", "options": {"image": "fancy"}},
        (400, "option-unknown"),
        "standard has no option 'image'. It has: size. [option-unknown]",
        id="an option of another profile",
    ),
    pytest.param(
        {"options": {"size": "enormous"}},
        (400, "choice-unavailable"),
        "'enormous' cannot be chosen for How large (size): it does not exist. Choose one of: small, big. "
        "[choice-unavailable]",
        id="unknown choice",
    ),
    pytest.param(
        {"options": {"size": "huge"}},
        (403, "choice-unavailable"),
        "'huge' cannot be chosen for How large (size): Only for members of painters. Choose one of: small, big. "
        "[choice-unavailable]",
        id="choice of another group",
    ),
    pytest.param(
        {"options": {"size": ""}},
        (400, "choice-unavailable"),
        "'' cannot be chosen for How large (size): it does not exist. Choose one of: small, big. [choice-unavailable]",
        id="an empty choice",
    ),
    *(
        pytest.param(
            {key: value},
            (400, INVALID),
            f"The options for this server are not valid: '{key}' is not an option of this platform. {ALL}",
            id=f"a setting: {key}",
        )
        for key, value in {
            "image": "registry.test/evil:1",
            "image--unlisted-choice": "registry.test/evil:1",
            "unlisted_choice": "registry.test/evil:1",
            "kubespawner_override": {"image": "evil"},
            "profile_options": {"image": "evil"},
            "slug": "standard",
            "cpu_limit": 64,
            "cmd": ["sh"],
            "environment": {"A": "1"},
            "service_account": "default",
            "extra_containers": [{"name": "evil"}],
            "profile-option-standard": "big",
            "__class__": {},
            "": "",
        }.items()
    ),
    pytest.param(
        {"profile": "standard", "profile-option-other--image": "fancy"},
        (400, INVALID),
        "The options for this server are not valid: 'profile-option-other--image' belongs to another profile than "
        f"'standard'. {ALL}",
        id="KubeSpawner's name for an option of another profile",
    ),
    pytest.param(
        {"profile": "standard", "profile-option-standard--size--unlisted-choice": "evil"},
        (400, "option-unknown"),
        "standard has no option 'size--unlisted-choice'. It has: size. [option-unknown]",
        id="KubeSpawner's name for a choice of one's own",
    ),
    pytest.param(
        {"profile": "standard", "profile-option-standard--size": ["big"]},
        (400, INVALID),
        "The options for this server are not valid: 'options.size' must be one text. "
        f"options.size takes one of: small, big. [{INVALID}]",
        id="KubeSpawner's name with a list",
    ),
    pytest.param(
        {"profile": "x" * 1_000_000},
        (400, "profile-unknown"),
        f"There is no profile '{'x' * 60}...'. Choose one of: standard, other. [profile-unknown]",
        id="a profile of a million letters",
    ),
    pytest.param(
        {"y" * 1_000_000: "x"},
        (400, INVALID),
        f"The options for this server are not valid: '{'y' * 60}...' is not an option of this platform. {ALL}",
        id="an option of a million letters",
    ),
    pytest.param(
        {"profile": SCRIPT},
        (400, "profile-unknown"),
        f"There is no profile '{SCRIPT}'. Choose one of: standard, other. [profile-unknown]",
        id="HTML for a profile",
    ),
    pytest.param(
        {"profile": FORGED},
        (400, "profile-unknown"),
        f"There is no profile {FORGED!r}. Choose one of: standard, other. [profile-unknown]".replace(
            repr(FORGED), repr(FORGED[:60] + "...")
        ),
        id="a line of a log for a profile",
    ),
    pytest.param(
        {"options": {FORGED: 1}},
        (400, INVALID),
        f"The options for this server are not valid: {('options.' + FORGED)[:60] + '...'!r} must be one text. {ALL}",
        id="a line of a log for an option",
    ),
    pytest.param(
        {"profile": "\ud800\x00\x1b[2J"},
        (400, "profile-unknown"),
        "There is no profile '\\ud800\\x00\\x1b[2J'. Choose one of: standard, other. [profile-unknown]",
        id="half a character, a zero and a terminal's command",
    ),
]


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("path", ["/users/alice/server", "/users/alice/servers/second"], ids=["default", "named"])
@pytest.mark.parametrize(("options", "refused", "says"), TABLE)
def test_the_rest_api_says_the_option_and_its_values(
    hub: ClusterHub, tokens: dict[str, str], path: str, options: dict[str, Any], refused: tuple[int, str], says: str
) -> None:
    """400, or 403 where another person might; the code is in a header of its own; nothing is made or stored."""
    answer = post(hub, tokens["alice"], path, written(options))
    assert (answer.status_code, answer.headers.get("X-DevPlatform-Error")) == refused, answer.text[:2000]
    assert answer.json()["message"] == says


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"{", id="broken JSON"),
        pytest.param(b'{"profile": "standard"', id="half an object"),
        pytest.param(b"\xff\xfe\x00", id="no text"),
        pytest.param(b"profile=standard", id="a form"),
        pytest.param(b"[" * 100_000, id="lists without end"),
        pytest.param(b'["standard"]', id="a list"),
        pytest.param(b'"standard"', id="text"),
        pytest.param(b"7", id="a number"),
        pytest.param(b"true", id="a truth"),
    ],
)
def test_a_body_that_is_no_object_is_refused(hub: ClusterHub, tokens: dict[str, str], body: bytes) -> None:
    """In a sentence of the hub."""
    answer = post(hub, tokens["alice"], "/users/alice/server", body)
    assert answer.status_code == 400, answer.text[:2000]
    assert answer.json()["message"]


@pytest.mark.usefixtures("untouched")
def test_whoever_may_start_nothing_is_told_nothing(hub: ClusterHub, tokens: dict[str, str]) -> None:
    """Not even which profiles there are."""
    answer = post(hub, tokens["eve"], "/users/eve/server", b'{"profile": "nope", "image": "evil"}')
    assert (answer.status_code, answer.headers.get("X-DevPlatform-Error")) == (403, "access-refused")
    assert "standard" not in answer.text


FIELDS = [
    pytest.param([("profile", "nope")], (400, "profile-unknown"), "There is no profile 'nope'.", id="unknown profile"),
    pytest.param([("profile", "closed")], (403, "profile-unavailable"), "Closed shop (closed)", id="another group's"),
    pytest.param(
        [("profile", "standard"), ("profile", "other")],
        (400, INVALID),
        "'profile' must be one text. profile takes one of: standard, other.",
        id="two profiles",
    ),
    pytest.param(
        [("profile", "standard"), ("profile-option-standard--size", "huge")],
        (403, "choice-unavailable"),
        "'huge' cannot be chosen for How large (size)",
        id="choice of another group",
    ),
    pytest.param(
        [("profile", "standard"), ("profile-option-standard--size", "small"), ("profile-option-standard--size", "big")],
        (400, INVALID),
        "options.size takes one of: small, big.",
        id="two choices",
    ),
    pytest.param(
        [("profile", "standard"), ("profile-option-standard--colour", "red")],
        (400, "option-unknown"),
        "standard has no option 'colour'. It has: size.",
        id="unknown option",
    ),
    pytest.param(
        [("profile", "standard"), ("image", "evil")],
        (400, INVALID),
        "'image' is not an option of this platform.",
        id="an image",
    ),
    pytest.param(
        [("profile", "standard"), ("options", "size")],
        (400, INVALID),
        "There are profile (standard, other)",
        id="options as text",
    ),
    pytest.param([("profile", SCRIPT)], (400, "profile-unknown"), f"no profile '{SCRIPT}'", id="HTML"),
    pytest.param([(SCRIPT, "x")], (400, INVALID), f"'{SCRIPT}' is not an option", id="HTML for a name"),
    pytest.param([("profile", FORGED)], (400, "profile-unknown"), "no profile 'standard\\n[I", id="a line of a log"),
    pytest.param([("profile", "x" * 5_000)], (400, "profile-unknown"), f"'{'x' * 60}...'", id="a long value"),
]


@pytest.fixture(scope="module")
def alice(hub: ClusterHub) -> Visitor:
    """Her browser, signed in."""
    return Visitor.signed_in(hub.origin, "alice")


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("server", ["", "/alice/second"], ids=["default", "named"])
@pytest.mark.parametrize("way", ["form", "link"])
@pytest.mark.parametrize(("fields", "refused", "says"), FIELDS)
def test_the_form_and_a_link_say_it_on_the_page(
    hub: ClusterHub,
    alice: Visitor,
    way: str,
    server: str,
    fields: list[tuple[str, str]],
    refused: tuple[int, str],
    says: str,
) -> None:
    """The same status and code; the page shows the form again, and of what was sent only text."""
    url = f"{hub.origin}/hub/spawn{server}"
    if way == "form":
        answer = alice.http.post(f"{url}?_xsrf={alice.xsrf()}", data=fields, timeout=30)
    else:
        answer = alice.http.get(url, params=fields, headers={"Sec-Fetch-Mode": "navigate"}, timeout=30)
    assert (answer.status_code, answer.headers.get("X-DevPlatform-Error")) == refused, answer.text[:2000]
    assert says in html.unescape(answer.text)
    assert SCRIPT not in answer.text
    assert 'id="dp.standard"' in answer.text
