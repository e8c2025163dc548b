"""The TLS side of a Connection: an SSLContext that trusts what the kubeconfig says, and nothing beside it.

With a CA, only that CA counts: not the system's, not REQUESTS_CA_BUNDLE's, not SSL_CERT_FILE's. The caller must hand
the context to urllib3 without `ca_certs` (requests with `verify=True` would add certifi to it), and must pass
`tls_server_name` as server_hostname and assert_hostname: a context can't hold it.
"""

from __future__ import annotations

import os
import re
import ssl
import tempfile
from dataclasses import replace

from kwatch.cluster.files import config_error, why
from kwatch.cluster.kubeconfig import Connection
from kwatch.errors import ConfigError

_BLOCK = re.compile(rb"-----BEGIN CERTIFICATE-----[\sA-Za-z0-9+/=]+-----END CERTIFICATE-----")


def ssl_context(connection: Connection) -> ssl.SSLContext:
    """A client context: TLS 1.2 at least, the host checked against DNS and IP names, the client certificate loaded.

    `ssl.create_default_context` isn't used: since Python 3.13 it sets VERIFY_X509_STRICT, which the CAs that kubeadm
    and minikube make (no authority key identifier) don't pass. Raises ConfigError.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False  # as in Go: only subjectAltName counts
    if connection.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif connection.ca:
        _trust_only(context, connection)
    else:
        context.load_default_certs()
    if connection.client_certificate:
        _present(context, connection)
    return context


def proxy_ssl_context(connection: Connection) -> ssl.SSLContext:
    """A context for an https proxy: it may be the cluster's CA that vouches for it, as in kubectl, or the system's.

    The client certificate is for the server alone. Raises ConfigError.
    """
    context = ssl_context(replace(connection, client_certificate=b"", client_key=b""))
    context.load_default_certs()
    return context


def _trust_only(context: ssl.SSLContext, connection: Connection) -> None:
    # Go trusts whatever certificate the bundle holds, an intermediate too; OpenSSL does so only when told.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    # The blocks alone: bundles carry comments that aren't ASCII, and other kinds of block, which Go skips.
    blocks = b"\n".join(_BLOCK.findall(connection.ca)).decode("ascii")
    try:
        if blocks:
            context.load_verify_locations(cadata=blocks)
    except (ssl.SSLError, ValueError):
        blocks = ""
    if not blocks:
        raise _error(
            connection, "the certificate authority isn't a valid PEM certificate; get it again from the cluster"
        )


def _present(context: ssl.SSLContext, connection: Connection) -> None:
    """Load certificate and key. OpenSSL takes them from a file only: a private one, gone before this returns."""
    path = ""
    try:
        handle, path = tempfile.mkstemp(prefix="kwatch-")  # 0600, and not there before
        with open(handle, "wb") as file:
            file.write(connection.client_key + b"\n" + connection.client_certificate)
        context.load_cert_chain(path, password=_no_password)
    except _EncryptedKeyError:
        raise _error(
            connection, "the client key is encrypted; kwatch has no password for it, decrypt it first"
        ) from None
    except (ssl.SSLError, ValueError) as error:
        raise _error(connection, _mismatch(error)) from None
    except OSError as error:
        raise _error(connection, f"no temporary file for the client key: {why(error)}; check TMPDIR") from None
    finally:
        if path:
            os.unlink(path)


class _EncryptedKeyError(Exception):
    """Raised in place of OpenSSL's prompt on the terminal."""


def _no_password() -> str:
    raise _EncryptedKeyError


def _mismatch(error: Exception) -> str:
    if getattr(error, "reason", "") == "KEY_VALUES_MISMATCH":
        return "the client key doesn't belong to the client certificate; take both from the same place"
    return "the client certificate or its key isn't valid PEM; get both again from where they come from"


def _error(connection: Connection, text: str) -> ConfigError:
    context = f'context "{connection.context}" ' if connection.context else ""
    return config_error(f"{context}({connection.server}): {text}")
