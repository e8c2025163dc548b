"""The security list of CONTRIBUTING: hostile servers, credentials, floors."""

from __future__ import annotations

import base64
import configparser
import csv
import io
import json
import ssl
from pathlib import Path

import pytest
import trustme
from command import kwatch
from scripted import Peer, Script, ScriptedServer, answer, chunk, head

EVIL = "a\x1b]0;owned\x07\x1b[2Jb\x9b31mc\u202ed\x7f\r\x00e"
CONTROLS = {chr(code) for code in [*range(32), *range(0x7F, 0xA0), 0x061C, 0x200E, 0x200F, 0x202E, 0x2066]} - {"\n"}
CANARY = "CANARY-c2VjcmV0-0123456789"


def hostile_table() -> bytes:
    columns = [{"name": f"Na{EVIL}me", "type": "string"}, {"name": "Status"}]
    metadata = {"name": EVIL, "namespace": EVIL, "uid": "u", "resourceVersion": "5"}
    rows = [{"cells": [EVIL, f"={EVIL}"], "object": {"metadata": metadata}}]
    table = {"kind": "Table", "metadata": {"resourceVersion": "5"}, "columnDefinitions": columns, "rows": rows}
    return json.dumps(table).encode()


def refuse(code: int, message: str) -> Script:
    status = json.dumps({"kind": "Status", "code": code, "message": message, "reason": message}).encode()
    return lambda peer: peer.send(answer(status, f"{code} Oh", Connection="close"))


@pytest.mark.parametrize("output", ["", "csv"])
def test_security_1_cells_and_headers_are_inert(output: str, tmp_path: Path) -> None:
    with ScriptedServer(lambda peer: peer.send(answer(hostile_table(), Connection="close"))) as server:
        run = kwatch(["pods", "-A", "-s", server.url, "-o", output, "--count", "1"], tmp_path)
    assert run.returncode == 0
    assert "NA" in run.stdout
    assert not set(run.stdout.replace("\r\n", "\n")) & CONTROLS


def test_security_1_status_messages_and_warning_headers_are_inert(tmp_path: Path) -> None:
    listing = {"kind": "PodList", "metadata": {"resourceVersion": "5"}, "items": []}
    warned = answer(json.dumps(listing).encode(), Connection="close", Warning='299 - "old\x1b[31m\x9b api"')
    error = {"type": "ERROR", "object": {"kind": "Status", "code": 500, "message": EVIL}}

    def stream(peer: Peer) -> None:
        peer.send(head(Transfer_Encoding="chunked", Connection="close") + chunk(json.dumps(error).encode() + b"\n"))

    with ScriptedServer(lambda peer: peer.send(warned), stream, refuse(403, EVIL)) as server:
        run = kwatch(["pods", "-s", server.url, "-v"], tmp_path)
    assert run.returncode == 1
    assert "warning: old[31m api" in run.stderr
    assert "broke off the watch (500 a]0;owned[2Jb" in run.stderr
    assert run.stderr.splitlines()[-1].startswith("kwatch: error: pods in default: 403 a]0;owned[2Jb")
    assert not set(run.stderr) & CONTROLS


def test_security_2_a_formula_is_guarded_in_csv(tmp_path: Path) -> None:
    with ScriptedServer(lambda peer: peer.send(answer(hostile_table(), Connection="close"))) as server:
        run = kwatch(["pods", "-s", server.url, "-o", "csv", "--count", "1"], tmp_path)
    assert next(iter(list(csv.reader(io.StringIO(run.stdout, newline="")))[1:]))[3].startswith("'=")


def kubeconfig(folder: Path, server: str, ca: bytes, user: dict[str, str]) -> str:
    config = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [
            {"name": "c", "cluster": {"server": server, "certificate-authority-data": base64.b64encode(ca).decode()}}
        ],
        "users": [{"name": "u", "user": user}],
    }
    path = folder / "config"
    path.write_text(json.dumps(config))
    return str(path)


def reflect(peer: Peer) -> None:
    """A server, or a proxy, that repeats the request in its refusal."""
    peer.send(answer(peer.request, "400 Bad Request", Connection="close"))


def reflect_in_stream(peer: Peer) -> None:
    error = {
        "type": "ERROR",
        "object": {"kind": "Status", "code": 500, "message": peer.request.decode("latin-1")[-200:]},
    }
    peer.send(head(Transfer_Encoding="chunked", Connection="close") + chunk(json.dumps(error).encode() + b"\n"))


def listed(peer: Peer) -> None:
    listing = {"kind": "PodList", "metadata": {"resourceVersion": "5"}, "items": []}
    peer.send(answer(json.dumps(listing).encode(), Connection="close"))


@pytest.mark.parametrize("user", [{"token": CANARY}, {"username": "me", "password": CANARY}], ids=["token", "password"])
@pytest.mark.parametrize(
    "scripts",
    [
        [reflect],
        [refuse(401, "no"), refuse(401, f"bad {CANARY}")],
        [listed, reflect_in_stream, refuse(403, f"never {CANARY}")],
        [
            lambda peer: peer.send(
                answer(b"", "302 Found", Location=f"http://127.0.0.1:1/?t={CANARY}", Connection="close")
            )
        ],
        [lambda peer: peer.send(b"nonsense " + CANARY.encode() + b"\r\n\r\n")],
        [lambda peer: peer.send(answer(CANARY.encode(), Connection="close"))],
    ],
    ids=["reflected", "401", "stream", "redirect", "not HTTP", "not JSON"],
)
def test_security_3_credentials_are_never_repeated_at_any_verbosity(
    scripts: list[Script], user: dict[str, str], tmp_path: Path
) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with ScriptedServer(*scripts, tls=context) as server:
        config = kubeconfig(tmp_path, server.url, authority.cert_pem.bytes(), user)
        run = kwatch(["pods", "-v", "--kubeconfig", config], tmp_path)
        sent = [request for request in server.requests if b"Authorization: " in request]
    assert run.returncode == 1
    assert sent == server.requests
    encoded = base64.b64encode(f"me:{CANARY}".encode()).decode()
    assert CANARY not in run.stdout + run.stderr
    assert encoded not in run.stdout + run.stderr
    assert all(line.startswith("kwatch: ") for line in run.stderr.splitlines())


def test_security_7_the_floors_are_those_that_are_tested() -> None:
    root = Path(__file__).parent.parent
    config = configparser.ConfigParser()
    config.read(root / "setup.cfg")
    required = config["options"]["install_requires"].split()
    floors = {line.partition(",")[0].replace(">=", "==") for line in required}
    tested = {line for line in (root / "tests" / "floors.txt").read_text().splitlines() if not line.startswith("#")}
    assert floors == tested
    versions = dict(line.split("==") for line in tested)
    for name, least in {"orjson": (3, 11, 6), "urllib3": (2, 6, 3), "requests": (2, 32, 4)}.items():
        assert tuple(map(int, versions[name].split("."))) >= least
