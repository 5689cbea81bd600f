"""`devplatform up`, `down`, `status`, `reset`: the product on one machine, started, stopped, killed and refused."""

import fcntl
import json
import os
import pty
import re
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from devplatform_hub.embedded.leftovers import find_marked
from tests.integration.product import Product, command_environment, devplatform, started_product

pytestmark = pytest.mark.lab("proxy", "session", "mlflow")
_OUR_PROGRAMS = ("hub_app", "configurable-http-proxy", "devplatform_versions", "devplatform_mlflow_proxy")


def processes_of(data: Path) -> list[psutil.Process]:
    """Every process that carries the mark of this platform."""
    return find_marked(str(data / "run" / "machine.json"))


def family_of(product: Product) -> list[psutil.Process]:
    hub = product.hub()
    return [hub, *hub.children(recursive=True)]


def sockets_of(process: psutil.Process, kind: str) -> list[Any]:
    """Its sockets; none of one that has ended since it was listed, such as a helper of a kernel."""
    try:
        return list(process.net_connections(kind))
    except psutil.NoSuchProcess:
        return []


class TestRunning:
    """Against the started platform."""

    def test_the_login_page_answers_and_may_not_be_framed(self, product: Product) -> None:
        """Its security headers are the hub's strict ones."""
        answer = requests.get(f"{product.origin}/hub/login", timeout=10)
        assert answer.status_code == 200
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"

    def test_nothing_listens_outside_loopback(self, product: Product) -> None:
        """Every listening socket of every process, a person's server with a kernel included, is on 127.0.0.1."""
        visitor = product.sign_in("alice")
        product.start_server(visitor)
        family = {p.pid: p for p in (*family_of(product), *processes_of(product.data))}
        listening = {
            (process.name(), connection.laddr.ip)
            for process in family.values()
            for connection in sockets_of(process, "inet")
            if connection.status == psutil.CONN_LISTEN
        }
        udp = [c for process in family.values() for c in sockets_of(process, "udp")]
        assert {address for _, address in listening} == {"127.0.0.1"}
        assert len(listening) >= 2, "the hub and its proxy at least"
        assert udp == []

    def test_the_data_folder_is_private(self, product: Product) -> None:
        """Nobody else on the machine can look inside, and the secrets in it are closed one by one too."""
        assert stat.S_IMODE(product.data.stat().st_mode) == 0o700
        for name in ("users.yaml", "hub/cookie_secret", "hub/jupyterhub.sqlite", "run/machine.json", "logs/hub.log"):
            assert stat.S_IMODE((product.data / name).stat().st_mode) & 0o077 == 0, name

    def test_no_secret_is_in_a_command_line_or_a_log(self, product: Product) -> None:
        """Tokens of services and of the proxy, and the first administrator's code, are not there to be read."""
        secrets = set(re.findall(r"one-time code ([A-Z0-9-]+)", product.output))
        for process in family_of(product):
            environment = process.environ()
            names = ("JUPYTERHUB_API_TOKEN", "CONFIGPROXY_AUTH_TOKEN", "JPY_API_TOKEN")
            secrets |= {environment[name] for name in names if environment.get(name)}
        assert len(secrets) >= 3
        texts = [" ".join(process.cmdline()) for process in family_of(product)]
        texts += [log.read_text("utf-8", "replace") for log in (product.data / "logs").rglob("*") if log.is_file()]
        assert [secret for secret in secrets if any(secret in text for text in texts)] == []

    def test_status_says_where_it_is(self, product: Product) -> None:
        """And exits with 0."""
        assert product.devplatform("status").startswith(f"Running at {product.origin} (process ")

    def test_a_second_up_says_that_it_runs(self, product: Product) -> None:
        """It is not an error, and nothing is started twice."""
        before = {process.pid for process in family_of(product)}
        assert "It is running already" in product.devplatform("up", "--detach", "--port", "0")
        assert before <= {process.pid for process in family_of(product)}

    def test_reset_is_refused_while_it_runs(self, product: Product) -> None:
        """Deleting a running platform's data would lose what is being written."""
        result = devplatform("reset", "--yes", "--data", str(product.data))
        assert (result.returncode, result.stderr) == (
            1,
            "The platform is running. Stop it first: devplatform down. [still-running]\n",
        )
        assert product.data.exists()


class TestRoles:
    """Least privilege, as the hub enforces it."""

    def test_a_persons_token_reaches_the_services_and_nobody_else(self, product: Product) -> None:
        """Own model, own services; no list of people, nobody's server, nothing of the hub."""
        alice, bob = product.sign_in("alice"), product.sign_in("bob")
        assert alice.api("GET", "/users/alice").status_code == 200
        refused = {
            ("GET", "/users"): 403,
            ("GET", "/users/bob"): 404,
            ("POST", "/users/bob/server"): 404,
            ("DELETE", "/users/bob/server"): 404,
            ("POST", "/users/bob/tokens"): 403,
            ("GET", "/groups"): 403,
            ("GET", "/services"): 403,
            ("GET", "/proxy"): 403,
            ("POST", "/shutdown"): 403,
            ("POST", "/users/mallory"): 403,
        }
        assert {key: alice.api(*key).status_code for key in refused} == refused
        assert bob.get("/services/versions/").status_code == 200

    def test_sharing_servers_is_off(self, product: Product) -> None:
        """Nobody may hand their server to somebody else."""
        alice = product.sign_in("alice")
        body = {"user": "bob", "scopes": ["access:servers!server=alice/"]}
        assert alice.api("POST", "/shares/alice/", body).status_code in (403, 404)
        assert alice.api("POST", "/share-codes/alice/", {}).status_code in (403, 404)

    def test_a_servers_token_may_do_little(self, product: Product) -> None:
        """It reports activity and uses the services; it cannot start servers or make tokens."""
        alice = product.sign_in("alice")
        product.start_server(alice)
        server = next(
            p
            for p in processes_of(product.data)
            if "jupyterhub.singleuser" in p.cmdline() and "alice" in str(p.environ())
        )
        headers = {"Authorization": f"token {server.environ()['JUPYTERHUB_API_TOKEN']}"}
        api = f"{product.origin}/hub/api"
        scopes = set(requests.get(f"{api}/user", headers=headers, timeout=10).json()["scopes"])
        assert scopes == {
            "access:servers!server=alice/",
            "access:services!service=mlflow",
            "access:services!service=versions",
            "read:users:activity!user=alice",
            "users:activity!user=alice",
            *(scope for scope in scopes if scope.startswith(("read:users:name", "read:users:groups"))),
        }
        assert requests.post(f"{api}/users/alice/tokens", json={}, headers=headers, timeout=10).status_code in (
            403,
            404,
        )
        assert requests.delete(f"{api}/users/alice/server", headers=headers, timeout=10).status_code in (403, 404)

    def test_the_cullers_token_may_do_what_it_needs(self, product: Product) -> None:
        """It sees servers and stops them; it reads no group, no token, no state and changes nobody."""
        culler = next(p for p in family_of(product) if "devplatform_culler" in p.cmdline())
        headers = {"Authorization": f"token {culler.environ()['JUPYTERHUB_API_TOKEN']}"}
        api = f"{product.origin}/hub/api"
        users = requests.get(f"{api}/users", headers=headers, timeout=10).json()
        assert {"alice", "bob"} <= {user["name"] for user in users}
        assert all("groups" not in user and "auth_state" not in user for user in users)
        assert requests.post(f"{api}/users/alice/tokens", json={}, headers=headers, timeout=10).status_code in (
            403,
            404,
        )
        assert requests.delete(f"{api}/users/bob", headers=headers, timeout=10).status_code == 403

    def test_an_administrator_sees_start_time_and_profile(self, product: Product) -> None:
        """What the hub's admin panel shows of a server."""
        product.start_server(product.sign_in("alice"))
        boss = product.sign_in("boss")
        assert boss.get("/hub/admin").status_code == 200
        server = boss.api("GET", "/users/alice").json()["servers"][""]
        assert server["user_options"]["profile"] == "standard"
        assert server["started"].startswith("20")
        assert boss.api("DELETE", "/users/alice/server").status_code in (202, 204)
        assert product.sign_in("bob").get("/hub/admin").status_code == 403


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Product]:
    """A platform that this test may kill."""
    with started_product(tmp_path / "own") as product:
        product.add_person("alice")
        yield product


class TestStopping:
    def test_down_ends_every_process(self, own: Product) -> None:
        """Hub, proxy, services, tracking server, a person's server: nothing is left, and data stays."""
        own.start_server(own.sign_in("alice"))
        family = {p.pid: p for p in (*family_of(own), *processes_of(own.data))}
        assert {name for name in _OUR_PROGRAMS for p in family.values() if name in " ".join(p.cmdline())} == set(
            _OUR_PROGRAMS
        )
        own.devplatform("down")
        assert [p for p in family.values() if p.is_running()] == []
        assert processes_of(own.data) == []
        assert (own.data / "people" / "alice" / "workspace").is_dir()
        status = devplatform("status", "--data", str(own.data))
        assert (status.returncode, status.stdout) == (3, "Not running.\n")
        assert devplatform("down", "--data", str(own.data)).stdout.endswith("Nothing was running.\n")

    def test_a_killed_hub_leaves_servers_that_the_next_one_takes_over(self, own: Product) -> None:
        """After kill -9 `up` starts at the same address; the person's server goes on and is theirs again."""
        alice = own.sign_in("alice")
        own.start_server(alice)
        session = next(p for p in processes_of(own.data) if "jupyterhub.singleuser" in p.cmdline())
        proxy = next(p for p in processes_of(own.data) if "configurable-http-proxy" in " ".join(p.cmdline()))
        own.hub().kill()
        own.up()
        assert not proxy.is_running()
        assert session.is_running()
        again = own.sign_in("alice")
        assert again.api("GET", "/users/alice").json()["servers"][""]["ready"] is True
        assert again.get("/user/alice/lab").status_code == 200

    def test_down_after_a_killed_hub_ends_what_is_left(self, own: Product) -> None:
        """No orphan stays, not even a person's server."""
        own.start_server(own.sign_in("alice"))
        family = {p.pid: p for p in (*family_of(own), *processes_of(own.data))}
        own.hub().kill()
        assert "Stopped." in own.devplatform("down")
        deadline = time.monotonic() + 10
        while left := [p for p in family.values() if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]:
            assert time.monotonic() < deadline, left
            time.sleep(0.1)

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, None], ids=str)
    def test_in_the_foreground_it_stays_until_told(self, tmp_path: Path, number: signal.Signals | None) -> None:
        """Ctrl-C, `kill`, a closed terminal, and (None) `devplatform down` in another one, stop everything alike."""
        data = tmp_path / "data"
        command = [sys.executable, "-u", "-m", "devplatform_hub.embedded.cli", "up", "--port", "0", "--data", str(data)]
        process = subprocess.Popen(
            command,
            env=command_environment(),
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=_like_a_terminal,
        )
        try:
            assert process.stdout
            said = ""
            while "Press Ctrl-C" not in said:
                line = process.stdout.readline()
                assert line, said
                said += line
            family = processes_of(data)
            assert len(family) >= 4
            if number is None:
                devplatform("down", "--data", str(data))
            else:
                process.send_signal(number)
            rest, _ = process.communicate(timeout=60)
            assert process.returncode == 0
        finally:
            process.kill()
            process.wait()
            devplatform("down", "--data", str(data))
        assert rest == ("Stopped.\n" if number is None else "\nStopping ...\nStopped.\n")
        assert [p for p in family if p.is_running()] == []


def _like_a_terminal() -> None:
    """Undo what a shell without job control, such as CI's, does to what it starts in the background."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


class TestRefusals:
    """Bad input: one clear sentence, exit status 1, nothing lost and nothing left running."""

    def refused(self, data: Path, *arguments: str, code: str) -> str:
        result = devplatform("up", "--detach", "--data", str(data), *(arguments or ("--port", "0")))
        assert result.returncode == 1, result.stdout + result.stderr
        assert result.stderr.endswith(f"[{code}]\n"), result.stderr
        assert "Traceback" not in result.stdout + result.stderr
        assert processes_of(data) == []
        return result.stderr

    def test_a_port_in_use(self, tmp_path: Path) -> None:
        """The program that has it is named."""
        with closing(socket.create_server(("127.0.0.1", 0))) as taken:
            port = taken.getsockname()[1]
            said = self.refused(tmp_path / "data", "--port", str(port), code="port-in-use")
        assert f"Port {port} is in use by {psutil.Process().name()} (process {os.getpid()})." in said

    def test_a_folder_with_other_things(self, tmp_path: Path) -> None:
        """They stay as they are."""
        (tmp_path / "thesis.txt").write_text("years of work")
        assert "has other things in it" in self.refused(tmp_path, code="data-not-ours")
        assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]

    @pytest.mark.parametrize(
        ("marker", "code"),
        [
            pytest.param("{", "data-broken", id="not JSON"),
            pytest.param("[]", "data-broken", id="of another shape"),
            pytest.param('{"schema": 99}', "data-too-new", id="of a later release"),
        ],
    )
    def test_a_broken_or_newer_data_folder(self, tmp_path: Path, marker: str, code: str) -> None:
        """Nothing in it is touched."""
        data = tmp_path / "data"
        data.mkdir(mode=0o700)
        (data / "devplatform.json").write_text(marker)
        self.refused(data, code=code)
        assert (data / "devplatform.json").read_text() == marker
        assert [p.name for p in data.iterdir()] == ["devplatform.json"]

    @pytest.mark.parametrize("path", ["/proc/devplatform", "/dev/null"], ids=["cannot be made", "is a file"])
    def test_a_folder_that_cannot_be_used(self, path: str) -> None:
        """The operating system's reason is told."""
        said = self.refused(Path(path), code="data-not-writable")
        assert said.startswith(f"The data folder {path} cannot be used: ")

    def test_a_broken_database(self, tmp_path: Path) -> None:
        """The file stays, and where people's things are is said."""
        data = self.folder(tmp_path)
        (data / "hub").mkdir()
        (data / "hub" / "jupyterhub.sqlite").write_text("this is not a database" * 100)
        said = self.refused(data, code="database-broken")
        assert "jupyterhub.sqlite is broken: file is not a database." in said
        assert (data / "hub" / "jupyterhub.sqlite").stat().st_size == 2200

    def test_a_database_of_a_newer_hub(self, tmp_path: Path) -> None:
        """The hub refuses it; we say so in a sentence."""
        data = self.folder(tmp_path)
        (data / "hub").mkdir()
        with closing(sqlite3.connect(data / "hub" / "jupyterhub.sqlite")) as database:
            database.execute("create table users (id integer)")
            database.execute("create table spawners (id integer)")
            database.execute("create table alembic_version (version_num varchar(32))")
            database.execute("insert into alembic_version values ('ffffffffffff')")
            database.commit()
        assert "newer JupyterHub" in self.refused(data, code="data-too-new")

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            pytest.param("profiles:\n  - {name: a, cpus: 2}\n", "profiles.yaml:2:", id="an unknown key"),
            pytest.param("profiles: [\n", "profiles.yaml:", id="not YAML"),
            pytest.param("\x00", "profiles.yaml", id="a NUL"),
        ],
    )
    def test_profiles_that_cannot_be_read(self, tmp_path: Path, text: str, expected: str) -> None:
        """File and line are named, the file is kept, nothing is started."""
        data = self.folder(tmp_path)
        (data / "profiles.yaml").write_text(text)
        assert expected in self.refused(data, code="profiles-invalid")
        assert (data / "profiles.yaml").read_text() == text

    def test_profiles_that_are_not_text(self, tmp_path: Path) -> None:
        """Bytes of another encoding are no traceback."""
        data = self.folder(tmp_path)
        (data / "profiles.yaml").write_bytes(b"profiles: \xff\xfe")
        assert "is not UTF-8 text (byte 10)" in self.refused(data, code="profiles-invalid")

    def test_two_starts_at_once(self, tmp_path: Path) -> None:
        """The second is refused while the first one starts."""
        data = self.folder(tmp_path)
        (data / "run").mkdir()
        with (data / "run" / "start.lock").open("w") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            self.refused(data, code="starting-already")

    def test_a_setting_that_is_none(self, tmp_path: Path) -> None:
        """Before anything is made."""
        self.refused(tmp_path / "data", "--set", "nonsense", code="setting-invalid")
        assert not (tmp_path / "data").exists()

    def test_a_hub_that_cannot_start(self, tmp_path: Path) -> None:
        """Its own last words are told, and where the whole story is."""
        said = self.refused(tmp_path / "data", "--port", "0", "--set", "JupyterHub.base_url=7", code="start-failed")
        assert said.startswith("The platform did not start: ")
        assert str(tmp_path / "data" / "logs" / "hub.log") in said

    def folder(self, tmp_path: Path) -> Path:
        """An empty data folder of ours."""
        data = tmp_path / "data"
        data.mkdir(mode=0o700)
        (data / "devplatform.json").write_text(json.dumps({"schema": 1}))
        return data


class TestReset:
    def test_without_a_terminal_it_wants_a_word(self, tmp_path: Path) -> None:
        """A script does not delete by accident."""
        data = TestRefusals().folder(tmp_path)
        result = devplatform("reset", "--data", str(data))
        assert (result.returncode, result.stderr) == (
            1,
            "There is nobody to ask. Add --yes to delete it. [confirmation-needed]\n",
        )
        assert data.exists()

    @pytest.mark.parametrize(
        ("answer", "kept"), [("n\n", True), ("\n", True), ("y\n", False)], ids=["no", "enter", "yes"]
    )
    def test_on_a_terminal_it_asks(self, tmp_path: Path, answer: str, kept: bool) -> None:
        """Only a yes deletes."""
        data = TestRefusals().folder(tmp_path)
        ours, theirs = pty.openpty()
        command = [sys.executable, "-m", "devplatform_hub.embedded.cli", "reset", "--data", str(data)]
        with subprocess.Popen(
            command, env=command_environment(), stdin=theirs, stdout=theirs, stderr=theirs
        ) as process:
            os.close(theirs)
            os.write(ours, answer.encode())
            assert process.wait(timeout=20) == 0
        os.close(ours)
        assert data.exists() == kept

    def test_a_folder_that_is_not_ours_is_not_deleted(self, tmp_path: Path) -> None:
        """Whatever is said."""
        (tmp_path / "thesis.txt").write_text("years of work")
        assert devplatform("reset", "--yes", "--data", str(tmp_path)).returncode == 1
        assert (tmp_path / "thesis.txt").exists()

    def test_with_a_word_it_is_gone(self, tmp_path: Path) -> None:
        """And asking again says that there is nothing."""
        data = TestRefusals().folder(tmp_path)
        assert devplatform("reset", "--yes", "--data", str(data)).stdout == "Deleted.\n"
        assert devplatform("reset", "--yes", "--data", str(data)).stdout == "There is nothing to delete.\n"
