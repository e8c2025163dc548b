"""Exec credential plugins: real programs, what they are asked, when they are asked again, and every way they fail."""

from __future__ import annotations

import base64
import json
import os
import pty
import re
import sys
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from cluster.kubeconfigs import CANARY, Place, checked, kubeconfig, pem
from command import is_running
from polling import eventually

from kwatch.cluster.exec import MAX_OUTPUT, ExecCredentials, plugin
from kwatch.cluster.kubefile import Entry
from kwatch.errors import ConfigError

V1 = "client.authentication.k8s.io/v1"
V1BETA1 = "client.authentication.k8s.io/v1beta1"
CERTIFICATE, KEY = pem("CERTIFICATE"), pem("PRIVATE KEY")
USER = 'kubeconfig ~/.kube/config: user "u"'
PLUGIN = f"{USER}: the exec plugin ~/.kube/login"


def answer(token: Any = "t", version: str = V1, **status: Any) -> str:
    given = status | ({"token": token} if token else {})
    return json.dumps({"kind": "ExecCredential", "apiVersion": version, "status": given})


def user(command: str = "./login", **fields: Any) -> dict[str, Any]:
    return {"exec": {"apiVersion": V1, "command": command, "interactiveMode": "Never"} | fields}


def at(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class Login:
    """The program `login` beside the kubeconfig; it writes a line to `runs` each time it is run."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self.folder = place.home / ".kube"

    def python(self, code: str, **fields: Any) -> None:
        self._write(f"#!{sys.executable}\nimport json, os, signal, subprocess, sys, time\n", code, **fields)

    def shell(self, code: str, **fields: Any) -> None:
        self._write("#!/bin/sh\n", code, **fields)

    def prints(self, *texts: str) -> None:
        """The first text the first time, then the next; the last one goes on."""
        for number, text in enumerate(texts, start=1):
            self._place.write(f".kube/answer{number}", text)
        last = f"[ $n -gt {len(texts)} ] && n={len(texts)}"
        self.shell(f'n=$(($(wc -l < {self.folder}/runs)))\n{last}\ncat "{self.folder}/answer$n"')

    def _write(self, start: str, code: str, **fields: Any) -> None:
        self._place.write(".kube/runs", "")
        count = f"echo run >> {self.folder}/runs\n" if "/bin/sh" in start else ""
        count = count or f"open({str(self.folder / 'runs')!r}, 'a').write('run\\n')\n"
        self._place.write(".kube/login", start + count + code + "\n").chmod(0o755)
        self._place.default(kubeconfig(user=user(**fields)))

    @property
    def runs(self) -> int:
        return len((self.folder / "runs").read_text().splitlines())

    def credentials(self, **options: Any) -> ExecCredentials:
        """The same plugin by itself, for clocks, limits and terminals."""
        document = json.loads((self.folder / "config").read_text())
        body = document["users"][0]["user"]
        entry = Entry("user", "u", body, self.folder / "config")
        return ExecCredentials(plugin(entry, dict(os.environ), {}), **options)


@pytest.fixture
def login(place: Place) -> Login:
    return Login(place)


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """(the user's side, the program's side) of a pseudo-terminal."""
    ours, theirs = pty.openpty()
    yield ours, theirs
    os.close(ours)
    os.close(theirs)


class Clock:
    """Seconds since the epoch, that pass when told."""

    now = 1_900_000_000.0

    def __call__(self) -> float:
        return self.now


# What it gives


def test_a_cloud_s_short_lived_token_is_sent(place: Place, login: Login) -> None:
    login.prints(answer("k8s-aws-v1.aHR0", V1, expirationTimestamp=at(time.time() + 840)))
    connection = place.resolve()
    assert connection.credentials.authorization() == "Bearer k8s-aws-v1.aHR0"
    assert connection.credentials.given() == ("Bearer k8s-aws-v1.aHR0",)
    assert login.runs == 1


def test_an_answer_may_be_yaml_as_in_client_go(place: Place, login: Login) -> None:
    login.prints(
        f"apiVersion: {V1}\nkind: ExecCredential\nstatus:\n  token: t\n  expirationTimestamp: 2999-01-01T00:00:00Z\n"
    )
    assert place.resolve().credentials.authorization() == "Bearer t"


def test_v1beta1_may_leave_interactive_mode_out(place: Place, login: Login) -> None:
    login.python(f"print({answer(version=V1BETA1)!r})", apiVersion=V1BETA1, interactiveMode=None)
    assert place.resolve().credentials.authorization() == "Bearer t"


def test_a_client_certificate_reaches_the_connection(place: Place, login: Login) -> None:
    login.prints(answer(None, clientCertificateData=CERTIFICATE, clientKeyData=KEY))
    connection = place.resolve()
    assert (connection.client_certificate, connection.client_key) == (CERTIFICATE.encode(), KEY.encode())
    assert connection.credentials.authorization() == ""
    assert login.runs == 1


def test_the_users_own_certificate_comes_first(place: Place, login: Login) -> None:
    login.prints(answer("t", clientCertificateData=CERTIFICATE, clientKeyData=KEY))
    own = {"client-certificate": place.write("own", pem("CERTIFICATE", "own")), "client-key": place.write("key", KEY)}
    connection = place.resolve(**{name.replace("-", "_"): str(path) for name, path in own.items()})
    assert connection.client_certificate == pem("CERTIFICATE", "own").encode()
    assert connection.credentials.authorization() == "Bearer t"


def test_what_comes_first_leaves_the_plugin_unrun(place: Place, login: Login) -> None:
    login.prints(answer())
    body = json.loads((place.home / ".kube/config").read_text())["users"][0]["user"]
    assert place.resolve(token="flag").credentials.authorization() == "Bearer flag"
    assert place.resolve(server="http://127.0.0.1:1").credentials.authorization() == ""
    for own in ({"token": "own"}, {"tokenFile": str(place.write("token", "own"))}, {"username": "a", "password": "b"}):
        place.default(kubeconfig(user=body | own))
        assert place.resolve().credentials.authorization() in ("Bearer own", "Basic YTpi")
    assert login.runs == 0


# What it is given


def test_it_is_run_without_a_shell_with_its_arguments_and_variables(place: Place, login: Login) -> None:
    code = f"""
given = [sys.argv[1:], os.environ["MINE"], os.environ["THEIRS"], sys.stdin.read()]
assert given == [["$HOME; echo", "*"], "1", "2", ""], given
print({answer()!r})"""
    login.python(code, args=["$HOME; echo", "*"], env=[{"name": "MINE", "value": "1"}])
    assert place.resolve({"THEIRS": "2", "MINE": "0"}).credentials.authorization() == "Bearer t"


@pytest.mark.parametrize("told", [False, True])
def test_it_learns_of_the_cluster_only_if_the_user_says_so(told: bool, place: Place, login: Login) -> None:
    login.python(f"open(sys.argv[1], 'w').write(os.environ['KUBERNETES_EXEC_INFO'])\nprint({answer()!r})")
    body = user(args=[str(place.home / "asked")], provideClusterInfo=told)
    extension = {"name": "client.authentication.k8s.io/exec", "extension": {"audience": "x"}}
    data = base64.b64encode(CERTIFICATE.encode()).decode()
    cluster = {"certificate-authority-data": data, "tls-server-name": "name", "extensions": [extension]}
    place.default(kubeconfig(cluster, body))
    place.resolve()
    info = {
        "server": "https://c.example:6443",
        "certificate-authority-data": data,
        "tls-server-name": "name",
        "config": {"audience": "x"},
    }
    spec = {"interactive": False} | ({"cluster": info} if told else {})
    asked = json.loads((place.home / "asked").read_text())
    assert asked == {"kind": "ExecCredential", "apiVersion": V1, "spec": spec}
    place.default(kubeconfig({"insecure-skip-tls-verify": True}, body))
    place.resolve()
    asked = json.loads((place.home / "asked").read_text())["spec"].get("cluster")
    assert asked == ({"server": "https://c.example:6443", "insecure-skip-tls-verify": True} if told else None)


def test_a_bare_command_is_looked_up_on_path(place: Place, login: Login, monkeypatch: pytest.MonkeyPatch) -> None:
    login.prints(answer())
    place.default(kubeconfig(user=user("login")))
    path = f"{login.folder}:{os.environ['PATH']}"
    assert place.resolve({"PATH": path}).credentials.authorization() == "Bearer t"
    monkeypatch.chdir(login.folder)
    assert place.failure({"PATH": "."}) == f"{USER} needs the exec plugin login, which isn't on PATH; install it"


ASKS = (
    f"print({answer('{}')!r}.replace('{{}}', str(json.loads(os.environ['KUBERNETES_EXEC_INFO'])['spec']['interactive'])"
)
ASKS += " + sys.stdin.readline().strip()))"


@pytest.mark.parametrize(
    ("mode", "expected"), [("Never", "False"), ("IfAvailable", "Truemine"), ("Always", "Truemine")]
)
def test_on_a_terminal_it_may_ask(mode: str, expected: str, login: Login, terminal: tuple[int, int]) -> None:
    ours, theirs = terminal
    login.python(ASKS, interactiveMode=mode)
    os.write(ours, b"mine\n")
    assert login.credentials(stdio=(theirs, 2)).authorization() == f"Bearer {expected}"


def test_without_a_terminal_it_may_not(login: Login) -> None:
    read, write = os.pipe()
    os.write(write, b"not mine\n")
    login.python(ASKS, interactiveMode="IfAvailable")
    assert login.credentials(stdio=(read, 2)).authorization() == "Bearer False"
    login.python(ASKS, interactiveMode="Always")
    with pytest.raises(ConfigError, match="has to ask you something, but stdin is no terminal; run kwatch in one"):
        login.credentials(stdio=(read, 2)).authorization()
    os.close(read)
    os.close(write)


def test_on_a_terminal_its_stderr_is_the_users(login: Login, terminal: tuple[int, int]) -> None:
    ours, theirs = terminal
    login.shell("echo open this page >&2; exit 3")
    with pytest.raises(ConfigError, match="failed with exit code 3; run it by hand to see why"):
        login.credentials(stdio=(0, theirs)).authorization()
    assert os.read(ours, 100) == b"open this page\r\n"


# When it is run again


def test_what_it_gave_serves_until_it_expires(login: Login) -> None:
    clock = Clock()
    login.prints(answer("one", expirationTimestamp=at(clock.now + 60)), answer("two"))
    credentials = login.credentials(now=clock)
    assert credentials.authorization() == "Bearer one"
    clock.now += 59.9
    assert (credentials.authorization(), login.runs) == ("Bearer one", 1)
    clock.now += 0.1
    assert (credentials.authorization(), login.runs) == ("Bearer two", 2)
    clock.now += 1e9
    assert (credentials.authorization(), login.runs) == ("Bearer two", 2)
    assert credentials.given() == ("Bearer two", "Bearer one")


@pytest.mark.parametrize("written", ["2030-03-17T17:46:40Z", "2030-03-17T19:46:40.123456789+02:00"])
def test_an_expiry_may_have_any_offset_and_fraction(written: str, login: Login) -> None:
    clock = Clock()
    login.prints(answer("one", expirationTimestamp=written), answer("two"))
    credentials = login.credentials(now=clock)
    assert datetime.fromtimestamp(clock.now, timezone.utc).isoformat() == "2030-03-17T17:46:40+00:00"
    clock.now -= 1
    assert credentials.authorization() == credentials.authorization() == "Bearer one"
    clock.now += 1
    assert credentials.authorization() == "Bearer two"


def test_a_401_has_it_run_once_for_all_threads_that_had_the_same_value(login: Login) -> None:
    login.prints(answer("one"), answer("two"), answer("three"))
    credentials = login.credentials()
    barrier = threading.Barrier(4)
    found = []

    def read() -> None:
        found.append(credentials.authorization())
        barrier.wait()
        credentials.renew()
        found.append(credentials.authorization())

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == ["Bearer one"] * 4 + ["Bearer two"] * 4
    assert login.runs == 2
    assert credentials.authorization() == "Bearer two"
    credentials.renew()
    assert (credentials.authorization(), login.runs) == ("Bearer three", 3)


def test_a_certificate_that_changes_comes_with_the_next_run(login: Login) -> None:
    first, second = pem("CERTIFICATE", "one"), pem("CERTIFICATE", "two")
    login.prints(*(answer("t", clientCertificateData=text, clientKeyData=KEY) for text in (first, second)))
    credentials = login.credentials()
    assert credentials.identity() == (first.encode(), KEY.encode())
    credentials.authorization()
    credentials.renew()
    assert (credentials.identity()[0], login.runs) == (first.encode(), 1)  # that of the value in use
    credentials.authorization()
    assert (credentials.identity()[0], login.runs) == (second.encode(), 2)


# What goes wrong


@pytest.mark.parametrize(
    ("printed", "text"),
    [
        (CANARY, "printed something else than an ExecCredential in JSON; is it a credential plugin?"),
        (f'{{"kind": "{CANARY}"', "printed something else than an ExecCredential in JSON; is it a credential plugin?"),
        ("", "printed something else than an ExecCredential in JSON; is it a credential plugin?"),
        ("[" * 100_000, "printed something else than an ExecCredential in JSON; is it a credential plugin?"),
        (f"token: !!int {CANARY}", "printed something else than an ExecCredential in JSON; is it a credential plugin?"),
        ('{"kind": "Secret"}', "printed something else than an ExecCredential in JSON; is it a credential plugin?"),
        (answer(CANARY, V1BETA1), f"answered in another apiVersion than {V1}; correct it in the kubeconfig"),
        (
            json.dumps({"kind": "ExecCredential", "apiVersion": V1, "status": CANARY}),
            "gave no status, so no token; run it by hand to see why",
        ),
        (answer(None, x=CANARY), "gave no token and no client certificate; run it by hand to see why"),
        (answer([CANARY]), "gave a token that isn't a string; it must be one"),
        (
            answer(None, clientCertificateData=CANARY),
            "gave only one of clientCertificateData and clientKeyData; it must give both",
        ),
        (
            answer(CANARY, expirationTimestamp=CANARY),
            "gave an expirationTimestamp that isn't a time like 2030-01-31T12:00:00Z",
        ),
        (
            answer(CANARY, expirationTimestamp="2030-13-31T12:00:00Z"),
            "gave an expirationTimestamp that isn't a time like 2030-01-31T12:00:00Z",
        ),
    ],
)
def test_an_answer_that_is_none_is_one_line_without_a_word_of_it(
    printed: str, text: str, place: Place, login: Login
) -> None:
    login.prints(printed)
    assert place.failure() == f"{PLUGIN} {text}"


def test_a_token_that_no_header_carries_is_not_repeated(place: Place, login: Login) -> None:
    login.prints(answer(f"{CANARY}\nX-Forged: 1"))
    assert place.failure().startswith(f"{PLUGIN}: the token holds a line break")


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (f"echo {CANARY}; exit 3", "failed with exit code 3; run it by hand to see why"),
        (
            f"echo {CANARY}; printf 'no\\033[31m session:\\n\\n  log in\\302\\233' >&2; exit 1",
            "failed with exit code 1: no[31m session: log in",
        ),
        (f"echo {CANARY}; kill -9 $$", "was ended by signal 9; run it by hand to see why"),
    ],
)
def test_a_run_that_fails_says_why_and_not_what_it_printed(code: str, text: str, place: Place, login: Login) -> None:
    login.shell(code)
    assert place.failure() == f"{PLUGIN} {text}"


def test_of_a_long_stderr_the_end_is_shown(place: Place, login: Login) -> None:
    login.python("sys.stderr.write('x ' * 200_000 + 'the reason'); sys.exit(1)")
    shown = place.failure()
    assert shown.startswith(f"{PLUGIN} failed with exit code 1: …")
    assert shown.endswith("x the reason")
    assert len(shown) < 400


def test_too_much_output_is_refused(place: Place, login: Login) -> None:
    login.python(f"sys.stdout.write({CANARY!r} * {MAX_OUTPUT}); time.sleep(60)")
    assert place.failure() == f"{PLUGIN} printed over 1 MiB; is it a credential plugin?"


def test_who_logs_in_at_a_terminal_gets_more_time(login: Login, terminal: tuple[int, int]) -> None:
    login.shell(f"sleep 1.5\ncat <<'END'\n{answer('t')}\nEND")
    assert login.credentials(seconds=1.0, stdio=(0, terminal[1])).authorization() == "Bearer t"
    read, write = os.pipe()
    with pytest.raises(ConfigError, match="took over 1 s and was stopped"):
        login.credentials(seconds=1.0, stdio=(0, write)).authorization()
    os.close(read)
    os.close(write)


def test_a_plugin_that_never_ends_is_killed_with_what_it_started(login: Login) -> None:
    login.python(
        f"""
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen(["sleep", "1000"])
print({CANARY!r}, flush=True)
print("open https://login.example", file=sys.stderr, flush=True)
open({str(login.folder / "pids")!r}, "w").write(f"{{os.getpid()}} {{child.pid}}")
time.sleep(1000)"""
    )
    with pytest.raises(ConfigError) as caught:
        login.credentials(seconds=2.0).authorization()
    text = "took over 2 s and was stopped: open https://login.example"
    assert checked(caught.value).endswith(text)
    itself, child = (login.folder / "pids").read_text().split()
    assert not Path(f"/proc/{itself}").exists()  # not a zombie either
    eventually(lambda: not is_running(int(child)))


def test_closing_ends_a_run_at_once(login: Login) -> None:
    login.shell("exec sleep 1000")
    credentials = login.credentials()
    failures = []

    def read() -> None:
        with pytest.raises(ConfigError) as caught:
            credentials.authorization()
        failures.append(str(caught.value))

    thread = threading.Thread(target=read)
    thread.start()
    eventually(lambda: login.runs == 1)
    started = time.monotonic()
    credentials.close()
    thread.join()
    assert time.monotonic() - started < 5
    assert "was ended by signal 9" in failures[0]


def test_a_child_that_outlives_the_plugin_holds_nothing_up(place: Place, login: Login) -> None:
    login.shell(f"sleep 5 & echo '{answer()}'")
    started = time.monotonic()
    assert place.resolve().credentials.authorization() == "Bearer t"
    assert time.monotonic() - started < 4


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"apiVersion": "client.authentication.k8s.io/v1alpha1"}, "whose apiVersion kwatch doesn't speak"),
        ({"command": ""}, "without a command; add `command: …` to it"),
        ({"args": [1]}, "whose args aren't a list of strings; put each in quotes"),
        ({"env": [{"name": "A", "value": 1}]}, "whose env isn't a list of `- name: …` with `value: …`, both strings"),
        ({"env": {"A": "1"}}, "whose env isn't a list of `- name: …` with `value: …`, both strings"),
        ({"interactiveMode": None}, "without a valid interactiveMode; it must be Never or IfAvailable or Always"),
        ({"interactiveMode": "Maybe"}, "without a valid interactiveMode; it must be Never or IfAvailable or Always"),
    ],
)
def test_an_entry_that_cannot_be_used_says_what_is_wrong(fields: dict[str, Any], text: str, place: Place) -> None:
    place.default(kubeconfig(user=user(**fields)))
    assert place.failure().startswith(f"{USER} has an exec plugin {text}")


def test_a_command_that_is_not_there_comes_with_its_install_hint(place: Place, login: Login) -> None:
    hint = "get it from\n\x1b[31mhttps://example.com"
    place.default(kubeconfig(user=user("no-such-login", installHint=hint)))
    text = "needs the exec plugin no-such-login, which isn't on PATH; get it from [31mhttps://example.com"
    assert place.failure() == f"{USER} {text}"
    place.default(kubeconfig(user=user("./login", installHint=hint)))
    text = "can't be run: no such file or directory; get it from [31mhttps://example.com"
    assert place.failure() == f"{PLUGIN} {text}"
    place.default(kubeconfig(user=user("./login")))
    place.write(".kube/login", "").chmod(0o644)
    assert place.failure() == f"{PLUGIN} can't be run: permission denied; check its path and permissions"
    place.default(kubeconfig(user=user("/bin/echo", args=["\0"])))
    assert re.search("can't be run: an argument or a variable isn't valid", place.failure())


def test_no_repr_shows_what_it_gave_or_was_given(place: Place, login: Login) -> None:
    secret = [{"name": "SECRET", "value": CANARY}]
    login.python(f"print({answer(CANARY)!r})", args=[CANARY], env=secret)
    connection = place.resolve()
    credentials = login.credentials()
    credentials.authorization()
    assert CANARY not in repr([connection, credentials, credentials._plugin, credentials._known])
