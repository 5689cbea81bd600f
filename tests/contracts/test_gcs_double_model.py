"""Any sequence of writes, deletions, copies and moves: the double agrees with a few lines of Python."""

from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

import requests
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.doubles.gcs import GcsServer
from tests.doubles.gcs.thread import serving

NAMES = st.sampled_from(["a", "a/", "a/b", "a/c/d", "b", "ä#?"])
BODIES = st.sampled_from(["", "one", "two"])
MATCHES = st.sampled_from(["any", "live", "none", "wrong"])
PICKS = st.integers(0, 4)


@dataclass(frozen=True)
class Known:
    """One generation, as the model knows it."""

    number: int
    body: str
    is_live: bool = True
    metageneration: int = 1


class Double(RuleBasedStateMachine):
    """Drives the double over HTTP, and the model beside it: a list of generations for each name."""

    def __init__(self) -> None:
        super().__init__()
        self.serving = serving(GcsServer())
        self.server = self.serving.__enter__()
        self.http = requests.Session()
        self.model: dict[str, list[Known]] = {}
        self.soft: set[tuple[str, int]] = set()
        self.last = 0
        self.versioned = True

    @initialize(versioned=st.booleans())
    def begin(self, versioned: bool) -> None:
        self.versioned = versioned
        self.server.make_bucket("bucket", versioned=versioned)

    def teardown(self) -> None:
        self.http.close()
        self.serving.__exit__(None, None, None)

    def call(self, method: str, path: str, root: str = "/storage/v1", **more: Any) -> requests.Response:
        url = f"{self.server.url}{root}/b/bucket/o{path}"
        return self.http.request(method, url, timeout=10, **more)

    # The model.

    def live(self, name: str) -> Known | None:
        versions = self.model.get(name, [])
        return versions[-1] if versions and versions[-1].is_live else None

    def make_way(self, name: str) -> None:
        """The live one becomes noncurrent, or goes."""
        one = self.live(name)
        if one is None:
            return
        if self.versioned:
            self.model[name][-1] = replace(one, is_live=False)
        else:
            self.drop(name, one)

    def drop(self, name: str, one: Known) -> None:
        self.model[name].remove(one)
        self.soft.add((name, one.number))

    def put(self, name: str, answer: requests.Response, body: str) -> None:
        """There is a new live one, with a generation higher than any before."""
        assert answer.status_code == 200, answer.text
        number = int(answer.json()["generation"])
        assert number > self.last
        self.last = number
        self.make_way(name)
        self.model.setdefault(name, []).append(Known(number, body))

    def expected(self, name: str, match: str) -> tuple[dict[str, str], bool]:
        """The precondition of a request, and whether it holds."""
        one = self.live(name)
        number = one.number if one else 0
        if match == "any":
            return {}, True
        wanted = {"live": number, "none": 0, "wrong": 12345}[match]
        return {"ifGenerationMatch": str(wanted)}, wanted == number

    def pick(self, name: str, place: int) -> Known:
        """A generation of the name, or one that there is not."""
        versions = self.model.get(name, [])
        return versions[place] if place < len(versions) else Known(99, "")

    # What is done.

    @rule(name=NAMES, body=BODIES, match=MATCHES)
    def write(self, name: str, body: str, match: str) -> None:
        query, holds = self.expected(name, match)
        asked = {"uploadType": "media", "name": name, **query}
        answer = self.call("POST", "", "/upload/storage/v1", params=asked, data=body)
        if holds:
            self.put(name, answer, body)
        else:
            assert answer.status_code == 412

    @rule(name=NAMES, match=MATCHES)
    def delete(self, name: str, match: str) -> None:
        query, holds = self.expected(name, match)
        answer = self.call("DELETE", f"/{quote(name, safe='')}", params=query)
        if self.live(name) is None:
            assert answer.status_code == 404
        elif not holds:
            assert answer.status_code == 412
        else:
            assert answer.status_code == 204
            self.make_way(name)

    @rule(name=NAMES, place=PICKS)
    def delete_generation(self, name: str, place: int) -> None:
        one = self.pick(name, place)
        answer = self.call("DELETE", f"/{quote(name, safe='')}", params={"generation": str(one.number)})
        assert answer.status_code == (404 if one.number == 99 else 204)
        if one.number != 99:
            self.drop(name, one)

    @rule(source=NAMES, place=PICKS, name=NAMES, match=MATCHES)
    def copy(self, source: str, place: int, name: str, match: str) -> None:
        one = self.pick(source, place)
        query, holds = self.expected(name, match)
        path = f"/{quote(source, safe='')}/copyTo/b/bucket/o/{quote(name, safe='')}"
        answer = self.call("POST", path, params={"sourceGeneration": str(one.number), **query})
        if one.number == 99:
            assert answer.status_code == 404
        elif not holds:
            assert answer.status_code == 412
        else:
            self.put(name, answer, one.body)

    @rule(source=NAMES, name=NAMES, match=MATCHES)
    def move(self, source: str, name: str, match: str) -> None:
        one = self.live(source)
        query, holds = self.expected(name, match)
        answer = self.call("POST", f"/{quote(source, safe='')}/moveTo/o/{quote(name, safe='')}", params=query)
        if one is None or source == name or not holds:
            assert answer.status_code == (404 if one is None else 400 if source == name else 412)
            return
        self.put(name, answer, one.body)
        if self.versioned:
            self.model[source][-1] = replace(one, is_live=False)
        else:
            self.model[source].remove(one)

    @rule(name=NAMES, place=PICKS)
    def patch(self, name: str, place: int) -> None:
        one = self.pick(name, place)
        query = {"generation": str(one.number), "ifMetagenerationMatch": str(one.metageneration)}
        answer = self.call("PATCH", f"/{quote(name, safe='')}", params=query, json={"metadata": {"a": "b"}})
        assert answer.status_code == (404 if one.number == 99 else 200)
        if one.number != 99:
            self.model[name][place] = replace(one, metageneration=one.metageneration + 1)

    # What has to be true.

    @invariant()
    def agrees(self) -> None:
        if not self.server.store.buckets:
            return
        known = [(name, one) for name in sorted(self.model, key=str.encode) for one in self.model[name]]
        for size in ("1", "3", "1000"):
            listed = self.listed(maxResults=size, versions="true")
            assert [(o["name"], int(o["generation"]), "timeDeleted" not in o) for o in listed] == [
                (name, one.number, one.is_live) for name, one in known
            ]
        assert [int(one["metageneration"]) for one in listed] == [one.metageneration for _, one in known]
        live = [(name, one.number) for name, one in known if one.is_live]
        assert [(o["name"], int(o["generation"])) for o in self.listed()] == live
        assert {(o["name"], int(o["generation"])) for o in self.listed(softDeleted="true")} == self.soft
        for name, one in known:
            path = f"/{quote(name, safe='')}"
            answer = self.call("GET", path, params={"alt": "media", "generation": str(one.number)})
            assert answer.text == one.body

    def listed(self, **query: str) -> list[dict[str, Any]]:
        """All pages."""
        found: list[dict[str, Any]] = []
        while True:
            page = self.call("GET", "", params=query).json()
            found += page.get("items", [])
            if "nextPageToken" not in page:
                return found
            query["pageToken"] = page["nextPageToken"]


def test_agrees_with_the_model() -> None:
    """Whatever is done, in whatever order, listings, contents and refusals are what the model says."""
    run_state_machine_as_test(
        Double,
        settings=settings(
            max_examples=30, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
