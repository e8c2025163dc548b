"""The SSLContext, by real handshakes in memory: whom it trusts, what it presents."""

from __future__ import annotations

import datetime
import ipaddress
import os
import ssl
import stat
import tempfile
from pathlib import Path
from typing import Any

import pytest
import trustme
from cluster.kubeconfigs import CANARY, checked
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kwatch.cluster.kubeconfig import Connection
from kwatch.cluster.tls import ssl_context
from kwatch.errors import ConfigError


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def stranger() -> trustme.CA:
    return trustme.CA()


def connection(ca: bytes = b"", certificate: bytes = b"", key: bytes = b"", insecure: bool = False) -> Connection:
    return Connection(
        "https://c", context="dev", ca=ca, client_certificate=certificate, client_key=key, insecure=insecure
    )


def pem_of(certificate: trustme.LeafCert) -> tuple[bytes, bytes]:
    return b"".join(blob.bytes() for blob in certificate.cert_chain_pems), certificate.private_key_pem.bytes()


def server(certificate: trustme.LeafCert, clients: trustme.CA | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # where a refused client certificate fails the handshake itself
    certificate.configure_cert(context)
    if clients:
        clients.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def handshake(client: ssl.SSLContext, served: ssl.SSLContext, name: str) -> None:
    """Run both sides against each other in memory. Raises what the first to object raises."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        client.wrap_bio(back, there, server_hostname=name),
        served.wrap_bio(there, back, server_side=True),
    ]
    for _ in range(10):
        for side in list(sides):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            sides.remove(side)
    assert not sides


@pytest.mark.parametrize("name", ["c.example", "127.0.0.1", "::1"])
def test_the_clusters_own_ca_is_trusted_for_dns_and_ip_names(authority: trustme.CA, name: str) -> None:
    context = ssl_context(connection(authority.cert_pem.bytes()))
    handshake(context, server(authority.issue_cert("c.example", "127.0.0.1", "::1")), name)


def test_another_name_is_refused(authority: trustme.CA) -> None:
    context = ssl_context(connection(authority.cert_pem.bytes()))
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        handshake(context, server(authority.issue_cert("c.example")), "d.example")


def test_nothing_but_the_ca_is_trusted_whatever_the_environment_says(
    authority: trustme.CA, stranger: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tmp_path / "bundle"
    stranger.cert_pem.write_to_path(str(bundle))
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, str(bundle))
    served = server(stranger.issue_cert("c"))
    context = ssl_context(connection(authority.cert_pem.bytes()))
    assert len(context.get_ca_certs()) == 1
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(context, served, "c")
    handshake(ssl_context(connection()), served, "c")  # with no CA the system decides, and so SSL_CERT_FILE


def test_insecure_checks_nothing(stranger: trustme.CA) -> None:
    handshake(ssl_context(connection(insecure=True)), server(stranger.issue_cert("x")), "c")


def test_an_intermediate_alone_can_be_the_ca_as_in_go(authority: trustme.CA) -> None:
    intermediate = authority.create_child_ca()
    context = ssl_context(connection(intermediate.cert_pem.bytes()))
    handshake(context, server(intermediate.issue_cert("c")), "c")


def test_a_bundle_may_hold_comments_and_other_blocks(authority: trustme.CA, stranger: trustme.CA) -> None:
    noise = "# Autoridad de Certificación\n-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n".encode()
    bundle = noise + stranger.cert_pem.bytes() + noise + authority.cert_pem.bytes()
    handshake(ssl_context(connection(bundle)), server(authority.issue_cert("c")), "c")


def test_a_ca_without_key_identifiers_is_good_enough(tmp_path: Path) -> None:
    """As kubeadm and minikube make them; VERIFY_X509_STRICT, on by default since Python 3.13, refuses it."""
    ca_key, ca = certificate("ca", None, None)
    key, leaf = certificate("leaf", ca_key, ca)
    path = tmp_path / "server.pem"
    path.write_bytes(private(key) + leaf.public_bytes(serialization.Encoding.PEM))
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(path)
    handshake(ssl_context(connection(ca.public_bytes(serialization.Encoding.PEM))), served, "127.0.0.1")


def certificate(
    name: str, signer: ec.EllipticCurvePrivateKey | None, issuer: x509.Certificate | None
) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=issuer is None)
    )
    if issuer:
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        builder = builder.add_extension(names, critical=False)
    return key, builder.sign(signer or key, hashes.SHA256())


def private(key: ec.EllipticCurvePrivateKey, password: bytes = b"") -> bytes:
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def test_tls_1_2_is_the_least(authority: trustme.CA) -> None:
    assert ssl_context(connection(authority.cert_pem.bytes())).minimum_version == ssl.TLSVersion.TLSv1_2


def test_the_client_certificate_is_presented(authority: trustme.CA, stranger: trustme.CA) -> None:
    served = server(authority.issue_cert("c"), clients=authority)
    ca = authority.cert_pem.bytes()
    handshake(ssl_context(connection(ca, *pem_of(authority.issue_cert("me")))), served, "c")
    for credentials in [(), pem_of(stranger.issue_cert("me"))]:
        with pytest.raises(ssl.SSLError):
            handshake(ssl_context(connection(ca, *credentials)), served, "c")


@pytest.mark.parametrize("fails", [False, True])
def test_the_key_is_on_disk_privately_and_only_while_it_is_loaded(
    authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    seen: list[int] = []

    load = ssl.SSLContext.load_cert_chain

    def spy(context: ssl.SSLContext, path: str, **rest: Any) -> None:
        seen.append(stat.S_IMODE(os.stat(path).st_mode))
        if fails:
            raise ssl.SSLError("no")
        load(context, path, **rest)

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", spy)
    wanted = connection(b"", *pem_of(authority.issue_cert("me")))
    if fails:
        with pytest.raises(ConfigError):
            ssl_context(wanted)
    else:
        ssl_context(wanted)
    assert seen == [0o600]
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_loaded_is_an_error_of_one_line(authority: trustme.CA) -> None:
    broken = f"-----BEGIN CERTIFICATE-----\n{CANARY}==\n-----END CERTIFICATE-----\n".encode()
    one, other = pem_of(authority.issue_cert("one")), pem_of(authority.issue_cert("other"))
    encrypted = private(ec.generate_private_key(ec.SECP256R1()), CANARY.encode())
    cases = {
        connection(broken): "the certificate authority isn't a valid PEM certificate; get it again from the cluster",
        connection(b"-----BEGIN CERTIFICATE-----"): (
            "the certificate authority isn't a valid PEM certificate; get it again from the cluster"
        ),
        connection(b"", one[0], other[1]): (
            "the client key doesn't belong to the client certificate; take both from the same place"
        ),
        connection(b"", broken, one[1]): (
            "the client certificate or its key isn't valid PEM; get both again from where they come from"
        ),
        connection(b"", one[0], encrypted): (
            "the client key is encrypted; kwatch has no password for it, decrypt it first"
        ),
    }
    for wanted, expected in cases.items():
        with pytest.raises(ConfigError) as caught:
            ssl_context(wanted)
        assert checked(caught.value) == f'context "dev" (https://c): {expected}'


def test_without_a_place_for_the_key_the_error_says_so(
    authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(ConfigError, match="no temporary file for the client key: no such file or directory"):
        ssl_context(connection(b"", *pem_of(authority.issue_cert("me"))))
