"""What holds of a hub that is spoken to in TLS: certificates, the time of the handshake, and no way back to http."""

import datetime
import ipaddress
import json
import socket
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from hub.raw_servers import RawServer, answer, whole
from mistral_operator.hub import HubError, HubReason
from mistral_operator.hub.remote import HubReader

MODEL = "acme/model"
CONFIG = b'{"model_type": "mistral"}'
LISTING = json.dumps({"sha": "a" * 40, "siblings": [{"rfilename": "config.json", "size": len(CONFIG)}]}).encode()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with a key and a certificate of 127.0.0.1 that vouches for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hub")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "hub.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    path.write_bytes(private + made.public_bytes(Encoding.PEM))
    return path


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have the environment name that certificate, as a chart's caBundle does."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    return certificate


class TlsServer(RawServer):
    """The same in TLS."""

    def __init__(self, certificate: Path, listing: bytes) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)

        def handle(connection: socket.socket, target: str) -> None:
            self.send(connection, listing if "/revision/" in target else whole(CONFIG))

        super().__init__(handle)
        self._context = context

    @property
    def url(self) -> str:
        """Its address."""
        return super().url.replace("http", "https")

    def opened(self, connection: socket.socket) -> socket.socket:
        """Shake hands."""
        return self._context.wrap_socket(connection, server_side=True)


def read(url: str, seconds: float = 30) -> HubError | None:
    """Read a model; return what it ended in."""
    try:
        HubReader(url, token=False, cached=False, timeout_seconds=seconds).read(MODEL)
    except HubError as error:
        return error
    return None


def test_the_certificates_of_the_environment_are_trusted(trusted: Path) -> None:
    """A mirror with a certificate of one's own authority is read."""
    with TlsServer(trusted, whole(LISTING)).running() as server:
        assert read(server.url) is None


def test_no_other_certificate_is(certificate: Path) -> None:
    """Whoever stands in the hub's place is told as such."""
    with TlsServer(certificate, whole(LISTING)).running() as server:
        error = read(server.url)
    assert error is not None
    assert error.reason is HubReason.HUB_UNREACHABLE
    assert "certificate" in error.message.lower()


def test_nothing_leads_from_https_to_http(trusted: Path) -> None:
    """Not even to the same host: what follows could be read, and written, by anybody on the way."""
    plain = RawServer(lambda connection, _: plain.send(connection, whole(LISTING)))
    with plain.running():
        redirect = answer(f"Location: {plain.url}/x", "Content-Length: 0", status="302 x")
        with TlsServer(trusted, redirect).running() as server:
            error = read(server.url)
    assert error is not None
    assert (error.reason, error.transient) == (HubReason.UNEXPECTED_ANSWER, False)
    assert "from https to http" in error.message
    assert plain.requests == []


def test_a_handshake_has_an_end() -> None:
    """A server that accepts and says nothing, or a byte now and then, costs the time of one answer."""

    def handle(_: socket.socket, target: str) -> None:
        raise AssertionError(target)  # it is no request that comes

    class Silent(RawServer):
        def opened(self, connection: socket.socket) -> socket.socket:
            while not self.over.wait(0.1):
                connection.sendall(b"\x16")
            raise OSError

    with Silent(handle).running() as server:
        error = read(server.url.replace("http", "https"), seconds=1)
    assert error is not None
    assert (error.reason, error.transient) == (HubReason.HUB_UNREACHABLE, True)
