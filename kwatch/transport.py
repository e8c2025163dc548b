"""HTTP by requests, made to stream: bytes as they arrive, an end at once when asked, credentials to one origin only.

One Transport serves one watch and is used by one thread; `abort` may be called from any. Nothing of the process's
environment decides where requests go or whom they trust (`trust_env` is off: a netrc or REQUESTS_CA_BUNDLE would win
over the cluster's own settings); a proxy is the connection's (`kwatch.cluster.proxies`).
"""

from __future__ import annotations

import contextlib
import platform
import re
import socket
import ssl
import sys
import time
from collections.abc import Iterator
from http import HTTPStatus
from http.client import BadStatusLine, HTTPException, IncompleteRead, RemoteDisconnected
from types import TracebackType
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.poolmanager import PoolManager, ProxyManager

from kwatch import __version__
from kwatch.chunked import READ_SIZE, BulkResponse
from kwatch.cluster import proxies
from kwatch.cluster.kubeconfig import Connection, current
from kwatch.cluster.tls import proxy_ssl_context, ssl_context
from kwatch.errors import ConfigError, Cut, FrameTooLong, Overdue, TransportError, Unreachable, Untrusted
from kwatch.protocol.session import Request, api_error
from kwatch.text import brief

CONNECT_SECONDS = 10.0
GET_SECONDS = 10.0
"""Seconds of silence after which a small GET is given up."""
MAX_PAGE = 1 << 30
"""Bytes a list's page may have, decompressed. A page of 500 objects of the 1.5 MiB that etcd allows stays under it."""
MAX_ERROR_BODY = 65536
USER_AGENT = f"kwatch/{__version__} ({sys.platform}/{platform.machine()})"

_KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPALIVE": 30, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 3}
SOCKET_OPTIONS = [
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *(
        (socket.IPPROTO_TCP, getattr(socket, name), value)
        for name, value in _KEEPALIVE.items()
        if hasattr(socket, name)
    ),
]

_FAILURES = (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError)
"""What requests and urllib3 raise; ValueError is for URLs and headers that they find out about late."""


class Transport:
    """Sends a session's requests to one cluster. Errors: TransportError's subclasses, FrameTooLong, ConfigError."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._adapter: _Adapter | None = None
        self._complaint = self._complained = ""
        self._server = connection.server
        self._note = connection.note
        self._proxy = proxies.shown(connection.proxy) if connection.proxy else ""
        self._proxy_from = connection.proxy_from or "proxy-url"
        self._credentials = connection.credentials
        self._socket: socket.socket | None = None
        self._deadline = float("inf")
        self._aborted = False
        self._is_new = False
        if connection.insecure:  # said once a run by the command, not by urllib3 on each request
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        self._session = requests.Session()
        self._session.trust_env = False
        if self._proxy:  # without user and password, which only the adapter's headers need
            self._session.proxies = {"http": self._proxy, "https": self._proxy}
        self._session.auth = self._auth = _Auth()
        self._session.headers.update({"User-Agent": USER_AGENT, "Accept-Encoding": "identity"})

    def send(self, request: Request) -> Response:
        """The answer to `request`, once its headers are there; close it after use (it is a context manager)."""
        request = self._limited(request)
        if request.renew:
            self._credentials.renew()
        self._auth.authorization = self._credentials.authorization()
        self._take_up_what_rotated()
        self._deadline = time.monotonic() + request.deadline
        try:
            answer = Response(self._answer(request), self)
        except _FAILURES as error:
            raise self._unanswered(error) from error
        if answer.status == 407 and self._proxy and self._server.startswith("http:"):
            answer.close()
            raise self._refused_by_proxy(_status_words(407))
        return answer

    def get(self, path: str, accept: str) -> bytes:
        """The whole body of a 200 answer to a GET. Raises ApiError for any other answer."""
        with self.send(Request("get", path, accept, silence=GET_SECONDS)) as response:
            if response.status != 200:
                raise api_error(f"{self._server}{path}", response.status, response.read_error())
            return response.read()

    def complaint(self) -> str:
        """What of the configuration couldn't be taken up since the last call, so that what was known stays in use."""
        complaint, self._complaint = self._complaint, ""
        return complaint

    def abort(self) -> None:
        """End whatever exchange is going on, at once, from any thread: a blocked read returns."""
        self._aborted = True
        if self._socket is not None:
            with contextlib.suppress(OSError):  # it may be closed already
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def expire(self, now: float) -> None:
        """End the exchange if it is past its deadline at `now` (time.monotonic), from any thread (fault 24)."""
        if now > self._deadline:
            self._deadline = float("inf")
            self.abort()

    def close(self) -> None:
        """Release all connections."""
        self._session.close()

    def _limited(self, request: Request) -> Request:
        """`--request-timeout` is for what is to be answered and done with, not for a watch."""
        seconds = self._connection.request_timeout
        if not seconds or request.verb == "watch":
            return request
        silence = min(seconds, request.silence) if request.verb == "list" else seconds
        return request._replace(silence=silence, deadline=seconds)

    def _take_up_what_rotated(self) -> None:
        """New connections where the CA, the client certificate or its key is another than it was (client-go closes the
        old ones, too). What can't be used, perhaps half written, leaves the last good one in use.
        """
        try:
            connection = current(self._connection)
            if self._adapter and connection is self._connection:
                return
            adapter = _Adapter(connection, self._connected)
        except ConfigError as error:
            if not self._adapter:
                raise
            self._complain(str(error))
            return
        self._session.close()
        self._connection, self._adapter, self._complained = connection, adapter, ""
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)

    def _complain(self, text: str) -> None:
        if text != self._complained:
            self._complaint = self._complained = text

    def _answer(self, request: Request) -> requests.Response:
        """Send it; once more where a connection kept from before turns out to be closed, as Go's client does."""
        self._is_new = False
        try:
            return self._get(request)
        except _FAILURES as error:
            if self._is_new or self._aborted or _is_timeout(error):
                raise
        return self._get(request)

    def _get(self, request: Request) -> requests.Response:
        return self._session.get(
            self._server + request.path,
            params=request.parameters,
            headers={"Accept": request.accept},
            timeout=(min(CONNECT_SECONDS, self._connection.request_timeout or CONNECT_SECONDS), request.silence),
            stream=True,
            allow_redirects=False,
        )

    def _connected(self, connected: socket.socket | None) -> None:
        """A connection was made; None while it is being made."""
        self._socket, self._is_new = connected, True

    def _finished(self) -> None:
        self._deadline, self._aborted = float("inf"), False

    def _unanswered(self, error: BaseException) -> TransportError:
        aborted, overdue = self._aborted, self._aborted or _is_timeout(error)
        self._finished()
        if not aborted and (failed := next((each for each in _causes(error) if isinstance(each, _ProxyFailed)), None)):
            return self._refused_by_proxy(_proxy_reason(failed), _find(failed, ssl.SSLCertVerificationError))
        reason = _reason(error)
        if refused := next((each for each in _causes(error) if isinstance(each, ssl.SSLCertVerificationError)), None):
            text = f"{self._server} has a certificate that the cluster's CA does not confirm: {reason}"
            return Untrusted(f"{text}; {_UNTRUSTED_ADVICE.get(refused.verify_code, _UNTRUSTED_ADVICE[0])}", reason)
        if overdue and self._socket is not None:
            return Overdue(f"{self._server} did not answer in time; check that it is a Kubernetes API server", reason)
        other = "http" if self._server.startswith("https:") else "https"
        advice = (
            self._note or f"check the address (--server or the context; is it {other}://?) and that the server runs"
        )
        return Unreachable(f"can't connect to {self._server}: {reason}; {advice}", reason)

    def _refused_by_proxy(self, reason: str, untrusted: bool = False) -> TransportError:
        """The proxy's fault, or that of whoever configured it; `reason` begins with the status where it gave one."""
        advice = _PROXY_ADVICE.get(reason[:3], _PROXY_ADVICE[""]).format(self._proxy_from)
        text = f"can't connect to {self._server} through the proxy {self._proxy}: {reason}; {advice}"
        return (Untrusted if untrusted else Unreachable)(text, f"proxy {self._proxy}: {reason}")


class Response:
    """An answer whose headers are there. Iterate `chunks` or `read` it, then close."""

    def __init__(self, response: requests.Response, transport: Transport) -> None:
        self._response = response
        self._transport = transport
        self.status = response.status_code

    @property
    def retry_after(self) -> float | None:
        """The Retry-After header where it is a number of seconds, as the API server's is."""
        value = self._response.headers.get("Retry-After", "").strip()
        return float(value) if value.isdecimal() else None

    @property
    def warnings(self) -> list[str]:
        """The texts of the answer's Warning headers (`299 - "text"`), made inert."""
        values = map(_as_utf8, self._response.raw.headers.getlist("Warning"))
        return [brief(value.split('"')[1] if value.count('"') > 1 else value) for value in values]

    def chunks(self) -> Iterator[bytes]:
        """The body's pieces as they arrive, content-encoding undone. Raises Cut or Overdue."""
        raw = self._response.raw
        try:
            while data := raw.read1(READ_SIZE, decode_content=True):
                yield data
        except _FAILURES as error:
            raise self._broken(error) from error
        if self._transport._aborted:
            raise self._broken(None)

    def read(self, limit: int = MAX_PAGE) -> bytes:
        """The whole body. Raises FrameTooLong over `limit` bytes, decompressed."""
        parts, length = [], 0
        for data in self.chunks():
            length += len(data)
            if length > limit:
                raise FrameTooLong(f"an answer of more than {limit // (1024 * 1024)} MiB")
            parts.append(data)
        return b"".join(parts)

    def read_error(self) -> bytes:
        """The body of an answer that isn't 200, as much of it as is useful; where it's empty, its reason phrase."""
        parts, length = [], 0
        with contextlib.suppress(TransportError):
            for data in self.chunks():
                parts.append(data)
                length += len(data)
                if length > MAX_ERROR_BODY:
                    break
        target = _as_utf8(self._response.headers.get("Location", ""))
        moved = f"a redirect to {target}, which kwatch doesn't follow" if 300 <= self.status < 400 else ""
        return moved.encode() or b"".join(parts) or str(self._response.reason).encode()

    def close(self) -> None:
        """Release the connection: back to the pool if the body was read to its end."""
        self._transport._finished()
        self._response.close()

    def __enter__(self) -> Response:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _broken(self, error: BaseException | None) -> TransportError:
        if self._transport._aborted or (error and _is_timeout(error)):
            return Overdue("no data in the time allowed")
        return Cut(_reason(error) if error else "closed")


class _Auth(AuthBase):
    """Puts the Authorization header on requests; the session never leaves the configured origin."""

    authorization = ""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self.authorization:
            request.headers["Authorization"] = self.authorization
        return request


class _Adapter(HTTPAdapter):
    """One TLS context, one set of socket options, and word of each socket that connects, with a proxy or without."""

    def __init__(self, connection: Connection, connected: Any) -> None:
        self._connection = connection
        self._connected = connected
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **pool_kwargs: Any) -> None:
        """As the base, with the connection's TLS context and sockets that report themselves."""
        super().init_poolmanager(connections, maxsize, block, **pool_kwargs, **self._pool_options())
        self._report(self.poolmanager, proxied=False)

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:
        """The same for the proxy, once; the base knows neither the TLS context nor the socket options."""
        if proxy not in self.proxy_manager:
            options = {"num_pools": 1, "maxsize": 1, **self._pool_options(), **proxy_kwargs}
            self.proxy_manager[proxy] = self._proxy_manager(proxy, options)
            self._report(self.proxy_manager[proxy], proxied=True)
        return self.proxy_manager[proxy]

    def add_headers(self, request: requests.PreparedRequest, **_: Any) -> None:
        """The connection's own, of which a name may come several times: requests' dictionary would keep the last."""
        headers = urllib3.HTTPHeaderDict({name: str(value) for name, value in request.headers.items()})
        for name, value in self._connection.headers + self._connection.impersonation:
            headers.add(name, value)
        request.headers = headers  # type: ignore[assignment]

    def proxy_headers(self, proxy: str) -> dict[str, str]:
        """Who kwatch is to the proxy: sent with CONNECT, or with each request that the proxy forwards."""
        value = proxies.authorization(self._connection.proxy)
        return {"Proxy-Authorization": value} if value else {}

    def close(self) -> None:
        """Close the connections now; the base leaves that to the garbage collector."""
        for manager in (self.poolmanager, *self.proxy_manager.values()):
            for key in list(manager.pools.keys()):
                manager.pools[key].close()
        super().close()

    def _pool_options(self) -> dict[str, Any]:
        options: dict[str, Any] = {"socket_options": SOCKET_OPTIONS}
        if self._connection.server.startswith("https:"):
            options["ssl_context"] = ssl_context(self._connection)
        if self._connection.tls_server_name:
            options["server_hostname"] = self._connection.tls_server_name
        return options

    def _proxy_manager(self, proxy: str, options: dict[str, Any]) -> PoolManager:
        if proxy.startswith(proxies.SOCKS):
            from urllib3.contrib.socks import SOCKSProxyManager  # needs PySocks, which `proxies` has looked for

            user, password = proxies.login(self._connection.proxy)
            return SOCKSProxyManager(proxy, user or None, password or None, **options)
        if proxy.startswith("https:"):
            options["proxy_ssl_context"] = proxy_ssl_context(self._connection)
            options.setdefault("ssl_context", options["proxy_ssl_context"])  # urllib3 before 2.8 forwards with this one
        return ProxyManager(proxy, proxy_headers=self.proxy_headers(proxy), **options)

    def _report(self, manager: PoolManager, *, proxied: bool) -> None:
        classes = manager.pool_classes_by_scheme.items()
        manager.pool_classes_by_scheme = {
            scheme: _reporting_pool(base, self._connected, proxied) for scheme, base in classes
        }

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Nothing: the TLS context alone decides; the base would add certifi's authorities to the cluster's."""

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> Any:
        """The host alone, for the same reason."""
        host, _ = super().build_connection_pool_key_attributes(request, verify, cert)
        return host, {}


class _ProxyFailed(urllib3.exceptions.ProxyError):
    """The way to the server ended at the proxy. urllib3's own ProxyError can't tell: it is raised for cuts, too."""


def _reporting_pool(base: Any, connected: Any, proxied: bool) -> type[HTTPConnectionPool]:
    """`base` with connections that tell `connected` of their sockets, and a proxy's failures from the server's."""

    class Reporting(base.ConnectionCls):  # type: ignore[misc]
        response_class = BulkResponse
        through = False

        def connect(self) -> None:
            connected(None)
            self.through = False
            try:
                super().connect()
            except (*_FAILURES, HTTPException) as error:
                if proxied and not self.through:
                    raise _ProxyFailed("the proxy", error) from error
                raise
            connected(getattr(self.sock, "socket", self.sock))  # in TLS within TLS, the outer one

        def _new_conn(self) -> socket.socket:
            made: socket.socket = super()._new_conn()
            if proxied:  # a proxy may take its time over CONNECT
                connected(made)
            self.through = not self.proxy  # SOCKS is through already
            return made

        def _tunnel(self) -> None:
            super()._tunnel()
            self.through = True

    class Pool(base):  # type: ignore[misc]
        ConnectionCls = Reporting

    return Pool


_PROXY_ADVICE = {
    "": "check its address ({}) and that it runs",
    "407": "give it the right user name and password in {}, as http://USER:PASSWORD@HOST:PORT",
    "403": "it doesn't let connections to this server pass: ask those who run it, or use another than that of {}",
}
"""What to do, by the status that a proxy gave."""

_UNTRUSTED_ADVICE = {
    0: "check certificate-authority in the kubeconfig, or the address",
    **dict.fromkeys((9, 10), "the server needs a certificate that is valid today; or is this machine's clock wrong?"),
    **dict.fromkeys((62, 64), "check the address, or say with --tls-server-name which name the certificate is for"),
}
"""What to do, by OpenSSL's number of why (X509_V_ERR_…): not valid yet, or no more; another name, or IP address."""

_TLS_REASONS = {
    "WRONG_VERSION_NUMBER": "what answers there doesn't speak TLS",
    "UNEXPECTED_EOF_WHILE_READING": "the server closed the connection amid the TLS handshake",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "the server asks for a client certificate",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "the client certificate has expired",
    "TLSV1_ALERT_UNKNOWN_CA": "the server doesn't accept the client certificate",
}


_SSL_PLACE = re.compile(r"^_ssl\.c:[0-9]+: ")
"""Where in Python's own source a handshake timed out, which helps nobody."""

_TUNNEL_FAILED = re.compile(r"Tunnel connection failed: ([0-9]{3})\b")
"""http.client's words; the status is nowhere else."""


def _as_utf8(value: str) -> str:
    """A header's value, which Go writes as UTF-8 and Python reads as Latin-1."""
    return value.encode("latin-1", errors="replace").decode(errors="replace")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """`error` and what it wraps, outermost first; requests and urllib3 wrap in attributes as well as by chaining."""
    seen: set[int] = set()
    todo = [error]
    while todo:
        current = todo.pop()
        if isinstance(current, BaseException) and id(current) not in seen:
            seen.add(id(current))
            yield current
            todo += [current.__context__, current.__cause__, getattr(current, "reason", None), *reversed(current.args)]


def _status_words(status: int) -> str:
    """`407 Proxy Authentication Required`, in HTTP's words: a proxy's own might repeat the password, cut in two."""
    with contextlib.suppress(ValueError):
        return f"{status} {HTTPStatus(status).phrase}"
    return str(status)


def _proxy_reason(error: BaseException) -> str:
    for cause in _causes(error):
        if found := _TUNNEL_FAILED.match(str(cause)):
            return _status_words(int(found[1]))
        if isinstance(cause, BadStatusLine) and not isinstance(cause, RemoteDisconnected):
            return "what answers there isn't an HTTP proxy"
    return _reason(error)


def _find(error: BaseException, kind: type[BaseException]) -> bool:
    return any(isinstance(cause, kind) for cause in _causes(error))


def _is_timeout(error: BaseException) -> bool:
    return _find(error, TimeoutError) or _find(error, urllib3.exceptions.TimeoutError)


def _reason(error: BaseException) -> str:
    """The innermost error in words: `Connection refused`, not three wrappers of it."""
    for cause in reversed(list(_causes(error))):
        if isinstance(cause, IncompleteRead):
            return "closed amid an answer"
        if isinstance(cause, ssl.SSLError):
            said: str = getattr(cause, "verify_message", "") or str(cause)
            return _TLS_REASONS.get(cause.reason or "") or brief(said.rstrip("."))
        if isinstance(cause, UnicodeError):
            return "a part of the host name is empty or too long"
        if isinstance(cause, (OSError, HTTPException)) and (words := getattr(cause, "strerror", "") or str(cause)):
            return brief(_SSL_PLACE.sub("", words))
    return brief(str(error))
