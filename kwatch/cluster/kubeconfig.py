"""From flags, KUBECONFIG, ~/.kube/config or the pod to one Connection: where the server is, whom to trust, who we are.

The rules are kubectl's (client-go `clientcmd/client_config.go`, checked against kubectl 1.32), stricter where kubectl
guesses: a context, cluster or user that is needed must exist. Everything wrong is a ConfigError, a line each.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from kwatch.cluster import impersonation, oidc, pem, proxies
from kwatch.cluster.credentials import Credentials, NoCredentials, TokenFile, basic, bearer, sendable
from kwatch.cluster.files import config_error, read
from kwatch.cluster.kubefile import Entry, Kubeconfig, load
from kwatch.cluster.pem import Pem, PemFile
from kwatch.cluster.urls import base_url
from kwatch.errors import ConfigError

DEFAULT_SERVER = "http://localhost:8080"
"""Where kubectl goes with no configuration at all."""

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a pod has the token, the CA and the namespace of its service account."""

_SHOWN = 8


@dataclass(frozen=True, slots=True)
class ConnectionOptions:
    """The connection flags as given, "" and False where not. Paths are relative to the current folder."""

    kubeconfig: str = ""
    context: str = ""
    cluster: str = ""
    user: str = ""
    server: str = ""
    proxy_url: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    tls_server_name: str = ""
    certificate_authority: str = ""
    client_certificate: str = ""
    client_key: str = ""
    insecure_skip_tls_verify: bool = False
    as_user: str = ""
    as_groups: tuple[str, ...] = ()
    as_uid: str = ""
    request_timeout: float = 0.0
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Connection:
    """All that a transport needs. PEM fields are b"" where there is none; `ca` b"" trusts what the system trusts.

    `server` has no trailing slash and keeps its path prefix. `namespace` "" means that the context names none.
    `tls_server_name` is the name to ask for and to check instead of the server's own. Over plain http nothing secret
    is here to send, as in kubectl, but for `proxy`, a URL that may hold a user and a password ("" goes straight to the
    server; `proxy_from` is where it stands). `note`: why the server is a mere default, for the error when it doesn't
    answer.
    """

    server: str
    namespace: str = ""
    context: str = ""
    ca: bytes = field(default=b"", repr=False)
    client_certificate: bytes = field(default=b"", repr=False)
    client_key: bytes = field(default=b"", repr=False)
    credentials: Credentials = field(default_factory=NoCredentials)
    insecure: bool = False
    tls_server_name: str = ""
    note: str = ""
    proxy: str = field(default="", repr=False)
    proxy_from: str = ""
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """(name, value) to send with each request, over plain http too: they were asked for by name."""
    impersonation: tuple[tuple[str, str], ...] = ()
    """The same, to act as somebody else; a name may come several times. No secret, so that errors may repeat it."""
    ca_file: PemFile | None = None
    certificate_file: PemFile | None = None
    key_file: PemFile | None = None
    """Where `ca`, `client_certificate` and `client_key` came of, and will come of again (see `current`)."""
    issued: bool = False
    """Whether the client certificate is the exec plugin's."""
    request_timeout: float = 0.0
    """Seconds a list, or a request for what the server serves, may take; 0 leaves it to kwatch."""


def resolve(
    options: ConnectionOptions,
    env: Mapping[str, str],
    home: Path | None = None,
    service_account: Path = SERVICE_ACCOUNT,
    config: Kubeconfig | None = None,
) -> Connection:
    """The connection that kubectl would make. `home` is where ~ is, from HOME in `env` by default; `service_account` is
    where a pod has its token; `config` is what `kubeconfig` gave, where it was asked already.

    Files are read and an exec plugin is run now, token files and the plugin again later (see `TokenFile` and
    `ExecCredentials`). Raises ConfigError.
    """
    config = config or kubeconfig(options, env, home)
    if _is_in_cluster(options, env, config, service_account):
        return _in_cluster(options, env, service_account)
    context = _context(options, config)
    cluster = _cluster(options, config, context)
    server, note = _server(options, env, config, cluster)
    user = _user(options, config, context, server)
    acting = impersonation.headers(user, options.as_user, options.as_groups, options.as_uid)
    proxy, proxy_from = _proxy(options, env, cluster, server)
    plain = Connection(
        server,
        context.text("namespace"),
        context.name,
        note=note,
        proxy=proxy,
        proxy_from=proxy_from,
        headers=options.headers,
        impersonation=acting,
        request_timeout=options.request_timeout,
    )
    if not server.startswith("https://"):
        return plain  # client-go gives no credential away to a plain connection
    return _authenticated(plain, options, env, cluster, user)


def _authenticated(
    plain: Connection, options: ConnectionOptions, env: Mapping[str, str], cluster: Entry, user: Entry
) -> Connection:
    """`plain` with whom to trust and who we are."""
    trust = _trust(options, cluster)
    name = _tls_server_name(options, cluster)
    identity = _identity(options, user)
    credentials = _credentials(options, user)
    issued = False
    if isinstance(credentials, NoCredentials) and user.has("exec"):
        from kwatch.cluster.exec import ExecCredentials, cluster_info, plugin

        (ca, _), insecure = trust
        credentials = ExecCredentials(plugin(user, env, cluster_info(cluster, plain.server, ca, insecure, name)))
        certificate, key = credentials.identity()
        issued = identity == (pem.NOTHING, pem.NOTHING)  # in client-go too, fixed ones come first
        identity = ((certificate, None), (key, None)) if issued else identity
    return replace(_secured(plain, trust, name, identity, credentials), issued=issued)


def _secured(
    plain: Connection, trust: tuple[Pem, bool], name: str, identity: tuple[Pem, Pem], credentials: Credentials
) -> Connection:
    """`plain` with what `_trust` and `_identity` gave, the TLS server name and the credentials."""
    (ca, ca_file), insecure = trust
    (certificate, certificate_file), (key, key_file) = identity
    return replace(
        plain,
        ca=ca,
        ca_file=ca_file,
        client_certificate=certificate,
        certificate_file=certificate_file,
        client_key=key,
        key_file=key_file,
        credentials=credentials,
        insecure=insecure,
        tls_server_name=name,
    )


def current(connection: Connection) -> Connection:
    """`connection` with what its files hold now and the certificate its exec plugin gave last; itself if unchanged.

    Raises ConfigError for a file that can't be read any more, or holds something else.
    """
    certificate, key = connection.client_certificate, connection.client_key
    if connection.issued:
        certificate, key = connection.credentials.identity()
    ca = connection.ca_file.content() if connection.ca_file else connection.ca
    certificate = connection.certificate_file.content() if connection.certificate_file else certificate
    key = connection.key_file.content() if connection.key_file else key
    if (ca, certificate, key) == (connection.ca, connection.client_certificate, connection.client_key):
        return connection
    return replace(connection, ca=ca, client_certificate=certificate, client_key=key)


def _is_in_cluster(options: ConnectionOptions, env: Mapping[str, str], config: Kubeconfig, folder: Path) -> bool:
    """Whether nothing names a cluster, and kwatch runs in a pod (client-go rest.InClusterConfig)."""
    named = options.server or options.kubeconfig or options.context or options.cluster or options.user
    if named or config.contexts or config.clusters or config.current_context:
        return False
    return (
        bool(env.get("KUBERNETES_SERVICE_HOST") and env.get("KUBERNETES_SERVICE_PORT")) and (folder / "token").is_file()
    )


def _in_cluster(options: ConnectionOptions, env: Mapping[str, str], folder: Path) -> Connection:
    """The API server of the cluster that this pod runs in, as the pod's service account. Flags win as elsewhere."""
    host, port = env["KUBERNETES_SERVICE_HOST"], env["KUBERNETES_SERVICE_PORT"]
    server = base_url(
        f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}", "KUBERNETES_SERVICE_HOST"
    )
    ca, insecure = _trust(options, Entry("cluster"))
    if ca == pem.NOTHING and not insecure and (folder / "ca.crt").is_file():
        ca = pem.of_flag(str(folder / "ca.crt"), "service account", pem.CERTIFICATE)
    identity = _identity(options, Entry("user"))
    proxy, proxy_from = proxies.choose(server, [(options.proxy_url, "--proxy-url")], env)
    namespace = folder / "namespace"
    plain = Connection(
        server,
        read(namespace, "namespace file").decode("utf-8", "replace").strip() if namespace.is_file() else "",
        proxy=proxy,
        proxy_from=proxy_from,
        headers=options.headers,
        impersonation=impersonation.headers(Entry("user"), options.as_user, options.as_groups, options.as_uid),
        request_timeout=options.request_timeout,
    )
    credentials = bearer(options.token, "--token") if options.token else TokenFile(folder / "token")
    return _secured(plain, (ca, insecure), options.tls_server_name, identity, credentials)


def _proxy(options: ConnectionOptions, env: Mapping[str, str], cluster: Entry, server: str) -> tuple[str, str]:
    """(URL, where it stands). The cluster's stays with `--server`, as in client-go."""
    asked = [(options.proxy_url, "--proxy-url"), (cluster.text("proxy-url"), f"{cluster}: proxy-url")]
    return proxies.choose(server, asked, env)


def _tls_server_name(options: ConnectionOptions, cluster: Entry) -> str:
    """`--server` alone drops the cluster's: it names another server."""
    return options.tls_server_name or ("" if options.server else cluster.text("tls-server-name"))


def kubeconfig(options: ConnectionOptions, env: Mapping[str, str], home: Path | None = None) -> Kubeconfig:
    """The files that kubectl would read, merged: of several contexts, a pipe can be read for the first alone.

    Raises ConfigError.
    """
    if options.kubeconfig:
        return load([Path(options.kubeconfig)], required=True)
    listed = [Path(name) for name in env.get("KUBECONFIG", "").split(os.pathsep) if name]
    if env.get("KUBECONFIG"):
        return load(listed)
    folder = home or (Path(env["HOME"]) if env.get("HOME") else None)
    return load([folder / ".kube" / "config"] if folder else [])


def _context(options: ConnectionOptions, config: Kubeconfig) -> Entry:
    name = options.context or config.current_context
    if name in config.contexts and name:
        return config.contexts[name]
    if name:
        raise _not_found("context", name, config.contexts, f"{config}:")
    if options.server or options.cluster or not (config.contexts or config.clusters):
        return Entry("context")
    known = _known("", config.contexts) or "make one with `kubectl config set-context`"
    raise config_error(f"{config}: no current-context is set; choose one with --context ({known})")


def _cluster(options: ConnectionOptions, config: Kubeconfig, context: Entry) -> Entry:
    if options.server and not options.cluster:  # --server makes up for a cluster that isn't there
        return config.clusters.get(context.text("cluster"), Entry("cluster"))
    if context.name and not options.cluster and not context.text("cluster"):
        raise context.error("names no cluster; add `cluster:` to it, or pass --cluster or --server")
    return _named(config.clusters, "cluster", options.cluster, context, config)


def _user(options: ConnectionOptions, config: Kubeconfig, context: Entry, server: str) -> Entry:
    """A context's user that isn't there is nobody, as in kubectl, but where kubectl would ask who we are: over https,
    when no flag says it.
    """
    told = options.token or options.client_certificate or server.startswith("http:")
    if told and not options.user and context.text("user") not in config.users:
        return Entry("user")
    return _named(config.users, "user", options.user, context, config)


def _named(entries: Mapping[str, Entry], section: str, flag: str, context: Entry, config: Kubeconfig) -> Entry:
    """The cluster or user the flag names, else the one the context names, else the empty one."""
    name = flag or context.text(section)
    if not name:
        return Entry(section)
    if name not in entries:
        where = f"{config}:" if flag else f"{context} names a {section} that isn't there:"
        raise _not_found(section, name, entries, where)
    return entries[name]


def _not_found(section: str, name: str, entries: Mapping[str, Entry], where: str) -> ConfigError:
    known = _known(name, entries) or f"there is no {section} at all"
    return config_error(f'{where} {section} "{name}" doesn\'t exist; {known}')


def _known(name: str, entries: Mapping[str, Entry]) -> str:
    """`did you mean …?` with the nearest names, else the known ones; "" where there are none."""
    from difflib import get_close_matches

    near = get_close_matches(name, entries, n=3) if name else []
    if near:
        return f"did you mean {', '.join(near)}?"
    shown = sorted(filter(None, entries))
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return f"known: {', '.join(shown[:_SHOWN])}{more}" if shown else ""


def _server(options: ConnectionOptions, env: Mapping[str, str], config: Kubeconfig, cluster: Entry) -> tuple[str, str]:
    """(base URL, note)."""
    if options.server:
        return base_url(options.server, "--server"), ""
    if cluster.name:
        server = cluster.text("server")
        if not server:
            raise cluster.error("has no server; add `server: https://…` to it, or pass --server")
        return base_url(server, f"{cluster}: server"), ""
    return base_url(env.get("KUBERNETES_MASTER") or DEFAULT_SERVER, "KUBERNETES_MASTER"), _default_note(config)


def _default_note(config: Kubeconfig) -> str:
    looked_at = ", ".join(str(path) for path in config.looked_at) or "HOME isn't set"
    state = "the kubeconfig is empty" if config.files else "no kubeconfig was found"
    return f"{state} ({looked_at}), so this is the default server; set KUBECONFIG or pass --server"


def _trust(options: ConnectionOptions, cluster: Entry) -> tuple[Pem, bool]:
    """(CA, insecure). A flag for either replaces both of the cluster's."""
    if options.certificate_authority and options.insecure_skip_tls_verify:
        raise config_error("--certificate-authority and --insecure-skip-tls-verify contradict each other; drop one")
    if options.certificate_authority:
        return pem.of_flag(options.certificate_authority, "--certificate-authority", pem.CERTIFICATE), False
    if options.insecure_skip_tls_verify:
        return pem.NOTHING, True
    if not cluster.boolean("insecure-skip-tls-verify"):
        return pem.of_entry(cluster, "certificate-authority", pem.CERTIFICATE), False
    if cluster.has("certificate-authority") or cluster.has("certificate-authority-data"):
        raise cluster.error("has both a certificate-authority and insecure-skip-tls-verify; remove one of them")
    return pem.NOTHING, True


def _identity(options: ConnectionOptions, user: Entry) -> tuple[Pem, Pem]:
    """(client certificate, its key), both or neither; a flag replaces the user's file and data."""
    certificate = _flag_or_entry(options.client_certificate, user, "client-certificate", pem.CERTIFICATE)
    if not certificate[0]:
        return pem.NOTHING, pem.NOTHING
    key = _flag_or_entry(options.client_key, user, "client-key", pem.PRIVATE_KEY)
    if not key[0]:
        where = "--client-certificate" if options.client_certificate else f"{user}: client-certificate"
        raise config_error(f"{where} has no key; add client-key or client-key-data, or pass --client-key")
    return certificate, key


def _flag_or_entry(path: str, user: Entry, key: str, marker: bytes) -> Pem:
    return pem.of_flag(path, f"--{key}", marker) if path else pem.of_entry(user, key, marker)


def _credentials(options: ConnectionOptions, user: Entry) -> Credentials:
    """The flag, else the user's token file, token, or password. None of these leaves it to the exec plugin.

    `--token` wins over a tokenFile, which in kubectl (1.32) it doesn't.
    """
    if options.token:
        return bearer(options.token, "--token")
    token, path = user.text("token"), user.path("tokenFile")
    username, password = user.text("username"), user.text("password")
    if (token or path) and (username or password):
        raise user.error("has both a token and a username or password; remove one of them")
    if path:
        return _token_file(path, token, user)
    if token:
        return bearer(token, str(user))
    if username or password:
        return basic(username, password, str(user))
    if user.has("auth-provider"):
        return oidc.provided(user)
    return NoCredentials()


def _token_file(path: Path, token: str, user: Entry) -> TokenFile:
    """As in client-go the file wins, and the inline token serves while the file gives none."""
    credentials = TokenFile(path, fallback=sendable(token, str(user)))
    try:
        credentials.authorization()
    except ConfigError as error:
        raise config_error(f"{user}: {error}") from None
    return credentials
