"""Where the connection comes from: flags, files, and what goes wrong with them."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster.kubeconfigs import CANARY, Place, b64, checked, kubeconfig, pem
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kwatch.cluster.kubeconfig import Connection, ConnectionOptions, resolve
from kwatch.errors import ConfigError

CERTIFICATE, KEY = pem("CERTIFICATE"), pem("EC PRIVATE KEY", CANARY)


def authorization(connection: Connection) -> str:
    return connection.credentials.authorization()


# Where it comes from


def test_the_default_file_is_in_the_home_folder(place: Place) -> None:
    place.default(kubeconfig(user={"token": "t"}, context={"namespace": "web"}))
    connection = place.resolve()
    assert (connection.server, connection.namespace, connection.context) == ("https://c.example:6443", "web", "dev")
    assert authorization(connection) == "Bearer t"


def test_home_comes_of_the_environment_when_it_is_not_given(place: Place) -> None:
    place.default(kubeconfig())
    assert resolve(ConnectionOptions(), {"HOME": str(place.home)}).context == "dev"


def test_a_context_without_a_namespace_leaves_it_to_the_caller(place: Place) -> None:
    place.default(kubeconfig())
    assert place.resolve().namespace == ""


def test_kubeconfig_replaces_the_default_file(place: Place) -> None:
    place.default(kubeconfig(**{"current-context": "broken"}))
    listed = place.write("a", kubeconfig({"server": "https://a"}))
    assert place.resolve({"KUBECONFIG": str(listed)}).server == "https://a"


def test_the_flag_names_the_only_file(place: Place) -> None:
    place.default(kubeconfig())
    flagged = place.write("only", kubeconfig({"server": "https://only"}))
    listed = place.write("a", kubeconfig({"server": "https://a"}))
    assert place.resolve({"KUBECONFIG": str(listed)}, kubeconfig=str(flagged)).server == "https://only"


def test_the_first_file_of_kubeconfig_wins_an_entry_whole(place: Place) -> None:
    first = place.write("a", kubeconfig({"server": "https://a"}, users=[]))
    second = place.write("b", kubeconfig({"server": "https://b", "tls-server-name": "b"}, {"token": "b"}))
    connection = place.resolve({"KUBECONFIG": os.pathsep.join([str(first), "", str(second)])})
    assert (connection.server, connection.tls_server_name, authorization(connection)) == ("https://a", "", "Bearer b")


def test_the_first_current_context_wins(place: Place) -> None:
    first = place.write("a", '{"current-context": ""}')
    second = place.write("b", kubeconfig())
    third = place.write("c", '{"current-context": "elsewhere"}')
    assert place.resolve({"KUBECONFIG": os.pathsep.join(map(str, [first, second, third]))}).context == "dev"


def test_missing_files_of_kubeconfig_are_ignored(place: Place) -> None:
    there = place.write("there", kubeconfig())
    assert place.resolve({"KUBECONFIG": os.pathsep.join([str(place.home / "gone"), str(there)])}).context == "dev"


def test_without_any_configuration_it_is_kubectls_default_and_says_so(place: Place) -> None:
    connection = place.resolve()
    assert connection.server == "http://localhost:8080"
    assert connection.note.replace(str(place.home), "~") == (
        "no kubeconfig was found (~/.kube/config), so this is the default server; set KUBECONFIG or pass --server"
    )
    assert resolve(ConnectionOptions(), {}).server == "http://localhost:8080"
    assert place.resolve({"KUBERNETES_MASTER": "http://127.0.0.1:9/"}).server == "http://127.0.0.1:9"


@pytest.mark.parametrize("content", ["", "# nothing\n", "{}", "apiVersion: v1\nkind: Config\nclusters: null\n"])
def test_an_empty_kubeconfig_is_like_none(place: Place, content: str) -> None:
    place.default(content)
    connection = place.resolve()
    assert connection.server == "http://localhost:8080"
    assert connection.note.startswith("the kubeconfig is empty")


def test_a_server_needs_no_kubeconfig(place: Place) -> None:
    connection = place.resolve(server="https://elsewhere/prefix/", token="t")
    assert connection.server == "https://elsewhere/prefix"
    assert authorization(connection) == "Bearer t"
    assert connection.note == ""


def test_a_server_keeps_the_contexts_credentials_and_ca_but_not_its_name(place: Place) -> None:
    place.default(kubeconfig({"tls-server-name": "c", "certificate-authority-data": b64(CERTIFICATE)}, {"token": "t"}))
    connection = place.resolve(server="https://elsewhere")
    assert (connection.server, connection.tls_server_name) == ("https://elsewhere", "")
    assert (connection.ca, authorization(connection)) == (CERTIFICATE.encode(), "Bearer t")
    assert place.resolve(server="https://elsewhere", tls_server_name="n").tls_server_name == "n"


def test_a_server_makes_up_for_a_cluster_that_is_missing(place: Place) -> None:
    place.default(kubeconfig(user={"token": "t"}, clusters=[]))
    assert authorization(place.resolve(server="https://elsewhere")) == "Bearer t"


@pytest.mark.parametrize("options", [{"server": "http://proxy"}, {"token": "t"}, {"server": "proxy:8001"}])
def test_a_contexts_user_that_is_missing_is_nobody_where_nobody_is_needed_or_flags_say_who(
    options: dict[str, str], place: Place
) -> None:
    place.default(kubeconfig(users=[]))
    assert authorization(place.resolve(**options)) == ("Bearer t" if "token" in options else "")


def test_a_user_whom_a_flag_names_must_exist_even_where_nobody_is_needed(place: Place) -> None:
    place.default(kubeconfig())
    assert 'user "v" doesn\'t exist; known: u' in place.failure(user="v", server="http://proxy")


def test_flags_choose_context_cluster_and_user(place: Place) -> None:
    place.default(
        kubeconfig(
            clusters=[
                {"name": "c", "cluster": {"server": "https://c"}},
                {"name": "d", "cluster": {"server": "https://d"}},
            ],
            users=[{"name": "u", "user": {"token": "u"}}, {"name": "v", "user": {"token": "v"}}],
            contexts=[{"name": "dev"}, {"name": "prod", "context": {"cluster": "c", "user": "u", "namespace": "n"}}],
        )
    )
    connection = place.resolve(context="prod", cluster="d", user="v")
    assert (connection.context, connection.namespace, connection.server) == ("prod", "n", "https://d")
    assert authorization(connection) == "Bearer v"


def test_a_pipe_can_be_the_kubeconfig(place: Place) -> None:
    reading, writing = os.pipe()
    os.write(writing, kubeconfig().encode())
    os.close(writing)
    try:
        assert place.resolve(kubeconfig=f"/dev/fd/{reading}").context == "dev"
    finally:
        os.close(reading)


def test_a_date_and_the_last_of_two_equal_keys_are_read_as_kubectl_does(place: Place) -> None:
    place.default(
        "clusters: [{name: 2024-01-01, cluster: {server: 'https://one', server: 'https://two'}}]\n"
        "contexts: [{name: x, context: {cluster: 2024-01-01}}]\ncurrent-context: x"
    )
    assert place.resolve().server == "https://two"


# What it says


@pytest.mark.parametrize("rest", [kubeconfig({"server": "https://second"}), "a: [b", "*nobody", "- " * 200_000, ""])
def test_of_several_yaml_documents_the_first_is_the_kubeconfig(rest: str, place: Place) -> None:
    place.default(f"---\n{kubeconfig()}\n---\n{rest}\n")
    assert place.resolve().server == "https://c.example:6443"


def test_data_wins_over_files_and_files_are_relative_to_their_kubeconfig(place: Place) -> None:
    place.write("k/certs/ca.crt", CERTIFICATE)
    place.write("k/u.key", KEY)
    path = place.write(
        "k/config",
        kubeconfig(
            {"certificate-authority": "certs/ca.crt"},
            {"client-certificate": "gone", "client-certificate-data": b64(CERTIFICATE), "client-key": "u.key"},
        ),
    )
    connection = place.resolve(kubeconfig=str(path))
    assert connection.ca == connection.client_certificate == CERTIFICATE.encode()
    assert connection.client_key == KEY.encode()


def test_flags_for_files_replace_data_and_are_relative_to_the_current_folder(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, other_key = pem("CERTIFICATE", "other"), pem("RSA PRIVATE KEY", "other")
    place.write("other.crt", other)
    place.write("other.key", other_key)
    place.default(
        kubeconfig(
            {"certificate-authority-data": b64(CERTIFICATE)},
            {"client-certificate-data": b64(CERTIFICATE), "client-key-data": b64(KEY)},
        )
    )
    monkeypatch.chdir(place.home)
    certificate = "other.crt"
    connection = place.resolve(
        certificate_authority=certificate, client_certificate=certificate, client_key="other.key"
    )
    assert connection.ca == connection.client_certificate == other.encode()
    assert connection.client_key == other_key.encode()


def test_insecure_is_the_clusters_or_the_flags_and_a_flag_replaces_the_other(place: Place) -> None:
    ca = place.write("ca", CERTIFICATE)
    place.default(kubeconfig({"certificate-authority-data": b64(CERTIFICATE)}))
    assert place.resolve(insecure_skip_tls_verify=True).insecure
    assert place.resolve(insecure_skip_tls_verify=True).ca == b""
    place.default(kubeconfig({"insecure-skip-tls-verify": True}))
    assert place.resolve().insecure
    assert not place.resolve(certificate_authority=str(ca)).insecure


def test_plain_http_gets_no_credentials_as_in_kubectl(place: Place) -> None:
    place.default(kubeconfig({"certificate-authority": "gone"}, {"exec": {"command": "login"}}))
    connection = place.resolve(server="http://127.0.0.1:8001", token="t")
    assert authorization(connection) == ""
    assert (connection.ca, connection.client_key, connection.context) == (b"", b"", "dev")


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ({}, ""),
        ({"token": "t"}, "Bearer t"),
        ({"tokenFile": "token"}, "Bearer from-file"),
        ({"token": "t", "tokenFile": "token"}, "Bearer from-file"),
        ({"token": "t", "tokenFile": "gone"}, "Bearer t"),
        ({"username": "me", "password": "pä"}, "Basic bWU6cMOk"),
        ({"token": "t", "exec": {"command": "x"}}, "Bearer t"),
    ],
)
def test_a_user_is_known_by(place: Place, user: dict[str, Any], expected: str) -> None:
    place.write(".kube/token", "from-file\n")
    place.default(kubeconfig(user=user))
    assert authorization(place.resolve()) == expected
    assert authorization(place.resolve(token="flag")) == "Bearer flag"


def test_a_token_flag_makes_an_exec_plugin_unnecessary(place: Place) -> None:
    place.default(kubeconfig(user={"exec": {"command": "login"}}))
    assert authorization(place.resolve(token="flag")) == "Bearer flag"


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        ("https://h", "https://h"),
        ("HTTPS://h:6443/", "https://h:6443"),
        ("https://[::1]:6443", "https://[::1]:6443"),
        ("https://rancher/k8s/clusters/c-1/", "https://rancher/k8s/clusters/c-1"),
        ("https://h/prefix?x=1#y", "https://h/prefix"),
    ],
)
def test_the_servers_path_prefix_is_kept(place: Place, server: str, expected: str) -> None:
    assert place.resolve(server=server).server == expected


def test_no_repr_shows_a_secret(place: Place) -> None:
    secret = b64(KEY)
    users = [
        {"token": CANARY, "client-certificate-data": b64(CERTIFICATE + CANARY), "client-key-data": secret},
        {"username": "me", "password": CANARY},
    ]
    for user in users:
        place.default(kubeconfig(user=user))
        assert CANARY not in repr(place.resolve())
        assert secret not in repr(place.resolve())
    assert CANARY not in repr(ConnectionOptions(token=CANARY))


# What goes wrong

HERE = "kubeconfig ~/.kube/config"
CLUSTER, USER = f'{HERE}: cluster "c"', f'{HERE}: user "u"'
FIXES = [
    (
        kubeconfig(user={"exec": {"command": CANARY}}),
        f"{USER} has an exec plugin whose apiVersion kwatch doesn't speak; it must be client.authentication.k8s.io/v1 "
        "or client.authentication.k8s.io/v1beta1",
    ),
    (
        kubeconfig(user={"auth-provider": {"name": "oidc", "config": {"id-token": CANARY}}}),
        f"{USER} has an OIDC id-token that isn't a JWT with an exp; log in again",
    ),
    (
        kubeconfig({"proxy-url": f"ftp://me:{CANARY}@proxy"}),
        f"{CLUSTER}: proxy-url: proxy isn't an http://, https:// or socks5:// URL; write it as http://HOST:PORT",
    ),
    (
        kubeconfig({"proxy-url": f"http://me:{CANARY}@proxy:port"}),
        f"{CLUSTER}: proxy-url: proxy:port isn't a valid URL; write it as http://HOST:PORT",
    ),
    (
        kubeconfig({"proxy-url": f"http://me:1/{CANARY}@proxy"}),
        f"{CLUSTER}: proxy-url: the password before @proxy holds a / ? or #; write %2F %3F or %23",
    ),
    (
        kubeconfig(user={"as-uid": "7", "token": CANARY}),
        f"{USER}: a uid, groups or extra are impersonated without a user; pass --as USER, too",
    ),
    (
        kubeconfig(user={"token": CANARY, "username": "me"}),
        f"{USER} has both a token and a username or password; remove one of them",
    ),
    (
        kubeconfig(user={"username": f"a:{CANARY}", "password": CANARY}),
        f"{USER}: a user name can't hold a colon; the server would take the rest as the password",
    ),
    (
        kubeconfig(user={"token": f"{CANARY}\nX-Forged: 1"}),
        f"{USER}: the token holds a line break or a character that no HTTP header can carry; copy it again as one line",
    ),
    (
        kubeconfig(user={"token": f"{CANARY}€"}),
        f"{USER}: the token holds a line break or a character that no HTTP header can carry; copy it again as one line",
    ),
    (kubeconfig(user={"token": [CANARY]}), f"{USER}: token isn't a string; put it in quotes"),
    (kubeconfig(user={"token": 1234}), f"{USER}: token isn't a string; put it in quotes"),
    (
        kubeconfig({"insecure-skip-tls-verify": "true"}),
        f"{CLUSTER}: insecure-skip-tls-verify isn't true or false; write one of them, without quotes",
    ),
    (
        kubeconfig({"insecure-skip-tls-verify": True, "certificate-authority": "ca"}),
        f"{CLUSTER} has both a certificate-authority and insecure-skip-tls-verify; remove one of them",
    ),
    (
        kubeconfig({"certificate-authority-data": f"{CANARY}!"}),
        f"{CLUSTER}: certificate-authority-data isn't base64; encode the PEM file again with `base64`",
    ),
    (
        kubeconfig({"certificate-authority-data": b64(CANARY)}),
        f"{CLUSTER}: certificate-authority-data holds no certificate in PEM; "
        "it must have a `-----BEGIN …CERTIFICATE-----` line",
    ),
    (
        kubeconfig({"certificate-authority": "gone.crt"}),
        f"{CLUSTER}: certificate-authority ~/.kube/gone.crt can't be read: no such file or directory; "
        "check the path and its permissions",
    ),
    (
        kubeconfig({"certificate-authority": "config"}, user={"token": CANARY}),
        f"{CLUSTER}: certificate-authority ~/.kube/config holds no certificate in PEM; "
        "it must have a `-----BEGIN …CERTIFICATE-----` line",
    ),
    (
        kubeconfig(user={"client-certificate-data": b64(CERTIFICATE)}),
        f"{USER}: client-certificate has no key; add client-key or client-key-data, or pass --client-key",
    ),
    (
        kubeconfig(user={"client-certificate-data": b64(CERTIFICATE), "client-key-data": b64(CANARY)}),
        f"{USER}: client-key-data holds no private key in PEM; it must have a `-----BEGIN …PRIVATE KEY-----` line",
    ),
    (
        kubeconfig(user={"tokenFile": "gone"}),
        f"{USER}: token file ~/.kube/gone can't be read: no such file or directory; check the path and its permissions",
    ),
    (
        kubeconfig(user={"tokenFile": "empty"}),
        f"{USER}: token file ~/.kube/empty is empty; whatever writes it hasn't yet, or wrote elsewhere",
    ),
    (kubeconfig({"server": ""}), f"{CLUSTER} has no server; add `server: https://…` to it, or pass --server"),
    (
        kubeconfig({"server": "c.example:6443/x"}),
        f"{CLUSTER}: server: c.example:6443/x isn't an http:// or https:// URL; write it as https://HOST:PORT",
    ),
    (
        kubeconfig({"server": "https://c:port"}),
        f"{CLUSTER}: server: https://c:port isn't a valid URL; write it as https://HOST:PORT",
    ),
    (
        kubeconfig({"server": "https://:6443"}),
        f"{CLUSTER}: server: https://:6443 names no host or an impossible port; write it as https://HOST:PORT",
    ),
    (
        kubeconfig({"server": "https://c\n.example"}),
        f"{CLUSTER}: server: a URL can't hold blanks, backslashes or control characters; check https://c .example",
    ),
    (
        kubeconfig({"server": f"https://me:{CANARY}@c"}),
        f"{CLUSTER}: server: the URL holds a user name; put it and the password into the kubeconfig's user",
    ),
    (
        kubeconfig({"server": f"https://me:{CANARY}@[c"}),
        f"{CLUSTER}: server: [c isn't a valid URL; write it as https://HOST:PORT",
    ),
    (
        kubeconfig(context={"cluster": "d"}),
        f'{HERE}: context "dev" names a cluster that isn\'t there: cluster "d" doesn\'t exist; known: c',
    ),
    (
        kubeconfig(users=[]),
        f'{HERE}: context "dev" names a user that isn\'t there: user "u" doesn\'t exist; there is no user at all',
    ),
    (
        kubeconfig(contexts=[{"name": "dev", "context": None}]),
        f'{HERE}: context "dev" names no cluster; add `cluster:` to it, or pass --cluster or --server',
    ),
    (
        kubeconfig(**{"current-context": "prd"}, contexts=[{"name": "prod"}, {"name": "dev"}]),
        f'{HERE}: context "prd" doesn\'t exist; did you mean prod?',
    ),
    (
        kubeconfig(**{"current-context": ""}),
        f"{HERE}: no current-context is set; choose one with --context (known: dev)",
    ),
    (
        kubeconfig(**{"current-context": None}, contexts=[]),
        f"{HERE}: no current-context is set; choose one with --context (make one with `kubectl config set-context`)",
    ),
    (kubeconfig(**{"current-context": 1}), f"{HERE}: current-context isn't a string; put it in quotes"),
    (kubeconfig(clusters={"c": {}}), f"{HERE}: clusters isn't a list; write each as `- name: …`"),
    (
        kubeconfig(users=[CANARY]),
        f"{HERE}: user 1 in the list isn't a mapping; write it as `- name: …` with `user:` below",
    ),
    (kubeconfig(users=[{"name": 1}]), f"{HERE}: user 1 in the list has a name that isn't a string; put it in quotes"),
    (
        kubeconfig(users=[{"name": "u", "user": CANARY}]),
        f"{HERE}: user 1 in the list has a `user:` that isn't a mapping; put its fields below it, indented",
    ),
    (kubeconfig(contexts=[{"name": "dev"}, {"name": "dev"}]), f'{HERE}: context "dev" is there twice; remove one'),
    (kubeconfig(kind="Pod"), f"{HERE} isn't of kind Config; is it the right file?"),
    (CANARY, f"{HERE} isn't a mapping of clusters, users and contexts; is it the right file?"),
    ("users:\n- name: u\n user: {token: " + CANARY, f"{HERE} isn't YAML: line 3, column 2 (*); correct it there"),
    (f"token: *{CANARY}", f"{HERE} isn't YAML: line 1, column 8 (*); correct it there"),
    (f"token: !{CANARY} x", f"{HERE} isn't YAML: line 1, column 8 (*); correct it there"),
    ("users: [a", f"{HERE} isn't YAML: line 2, column 1 (did not find expected ',' or ']'); correct it there"),
    (f"a: !!int {CANARY}", f"{HERE} holds a YAML value that can't be read; remove explicit `!!` tags"),
    (b"token: \xff\xfe", f"{HERE} isn't YAML*; correct it there"),
    ("[" * 200_000, f"{HERE} is nested over 64 levels deep; is it the right file?"),
    ("- " * 200_000, f"{HERE} is nested over 64 levels deep; is it the right file?"),
    ("a: &a 1\nb: [" + "*a," * 101 + "]", f"{HERE} has over 100 YAML aliases; write the values out"),
    (b"#" * (10 * 1024 * 1024 + 1), f"{HERE} is over 10 MiB; it isn't the file that was meant"),
]


def test_merges_that_double_fifty_times_end_at_once(place: Place) -> None:
    """Refused where PyYAML multiplies them out; from 6.0.4 on it merges an anchor once, and they are harmless."""
    place.default("a0: &a0 {k: 1}\n" + "".join(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}\n" for n in range(1, 50)))
    with contextlib.suppress(ConfigError):
        assert place.resolve().server == "http://localhost:8080"


@pytest.mark.parametrize(("content", "expected"), FIXES, ids=[str(number) for number in range(len(FIXES))])
def test_a_bad_kubeconfig_is_one_line_that_says_what_where_and_what_to_do(
    place: Place, content: str | bytes, expected: str
) -> None:
    place.write(".kube/empty", " \n")
    place.default(content)
    text = place.failure()
    start, _, end = expected.partition("*")
    assert text == expected or ("*" in expected and text.startswith(start) and text.endswith(end))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            {"kubeconfig": "gone"},
            "kubeconfig gone can't be read: no such file or directory; check the path and its permissions",
        ),
        ({"kubeconfig": "/"}, "kubeconfig / can't be read: is a directory; check the path and its permissions"),
        (
            {"kubeconfig": "a\0b"},
            "kubeconfig ab can't be read: the name isn't a valid path; check the path and its permissions",
        ),
        ({"context": "def"}, 'kubeconfig ~/.kube/config: context "def" doesn\'t exist; did you mean dev?'),
        ({"context": "production"}, 'kubeconfig ~/.kube/config: context "production" doesn\'t exist; known: dev'),
        (
            {"context": "\x1b[2Jx\n"},
            'kubeconfig ~/.kube/config: context "[2Jx " doesn\'t exist; known: dev',
        ),
        ({"cluster": "d"}, 'kubeconfig ~/.kube/config: cluster "d" doesn\'t exist; known: c'),
        ({"user": "v"}, 'kubeconfig ~/.kube/config: user "v" doesn\'t exist; known: u'),
        (
            {"proxy_url": f"http://me:{CANARY}@"},
            "--proxy-url:  names no host or an impossible port; write it as http://HOST:PORT",
        ),
        ({"server": f"me:{CANARY}@h"}, "--server: h isn't an http:// or https:// URL; write it as https://HOST:PORT"),
        (
            {"token": f"{CANARY}\r\n"},
            "--token: the token holds a line break or a character that no HTTP header can carry; "
            "copy it again as one line",
        ),
        (
            {"certificate_authority": "x", "insecure_skip_tls_verify": True},
            "--certificate-authority and --insecure-skip-tls-verify contradict each other; drop one",
        ),
        (
            {"client_certificate": "gone"},
            "--client-certificate gone can't be read: no such file or directory; check the path and its permissions",
        ),
    ],
)
def test_a_bad_flag_is_one_line_that_says_what_and_what_to_do(
    place: Place, options: dict[str, Any], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.default(kubeconfig(user={"token": CANARY}))
    monkeypatch.chdir(place.home)
    assert place.failure(**options) == expected


def test_a_context_without_any_kubeconfig_says_where_it_looked(place: Place) -> None:
    expected = 'kubeconfig ~/.kube/config: context "dev" doesn\'t exist; there is no context at all'
    assert place.failure(context="dev") == expected


def test_many_contexts_are_not_all_listed(place: Place) -> None:
    place.default(kubeconfig(contexts=[{"name": f"ctx-{number:02}"} for number in range(20)]))
    assert place.failure(context="zzz").endswith("known: " + ", ".join(f"ctx-0{n}" for n in range(8)) + " and 12 more")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_without_permission_says_so(place: Place) -> None:
    place.default(kubeconfig()).chmod(0)
    assert place.failure() == (
        "kubeconfig ~/.kube/config can't be read: permission denied; check the path and its permissions"
    )


# Anything at all

FIELDS = """
    current-context clusters users contexts name cluster user context server token tokenFile namespace kind exec as
    certificate-authority certificate-authority-data client-certificate-data client-key-data username password
    insecure-skip-tls-verify proxy-url tls-server-name
"""
KEYS = st.sampled_from(FIELDS.split())
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.dates()
    | st.binary(max_size=8)
    | st.text(max_size=8)
    | st.sampled_from(["c", "u", "dev", "https://h", "http://[", CERTIFICATE, b64(CERTIFICATE), b64(KEY), "/"])
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | SCALARS, inner, max_size=4),
    max_leaves=20,
)


def near(section: str, name: str) -> st.SearchStrategy[Any]:
    fields = st.dictionaries(KEYS, ANYTHING, max_size=4) | st.just({"server": "https://h", "cluster": "c", "user": "u"})
    return st.lists(st.fixed_dictionaries({"name": st.just(name), section: fields}), max_size=1) | ANYTHING


DOCUMENTS = ANYTHING | st.fixed_dictionaries(
    {
        "current-context": st.just("dev") | SCALARS,
        "clusters": near("cluster", "c"),
        "users": near("user", "u"),
        "contexts": near("context", "dev"),
    }
)


def only_config_errors(content: bytes, folder: Path) -> None:
    path = folder / "any"
    path.write_bytes(content)
    try:
        connection = resolve(ConnectionOptions(kubeconfig=str(path)), {}, folder)
        connection.credentials.authorization().encode("latin-1")
    except ConfigError as error:
        checked(error)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(document=DOCUMENTS)
def test_no_structure_raises_anything_but_a_config_error(document: Any, tmp_path: Path) -> None:
    only_config_errors(yaml.dump(document, Dumper=yaml.SafeDumper).encode("utf-8", "replace"), tmp_path)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=60) | st.text("{}[]:-!&*|>'\"\\#%@?,<=~ \t\nax0", max_size=40).map(str.encode))
@example(content=b"&a [*a]")
@example(content=b"? [*a]\n: &a b")
@example(content=b"{[]: 1}")
@example(content=b"clusters: &a\n- *a")
@example(content=b"!!timestamp x")
@example(content="!!binary é".encode())
@example(content=b"=: =")
def test_no_bytes_raise_anything_but_a_config_error(content: bytes, tmp_path: Path) -> None:
    only_config_errors(content, tmp_path)
