"""A real https server in the place of Vonage, for what can only be seen on a real wire.

A test module gets the fixture by ``pytest_plugins = ["two_factor.tests.fake_vonage"]``.
"""

import json
import ssl
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from uuid import uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from two_factor import client


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        length = int(self.headers.get("Content-Length", 0))
        request = SimpleNamespace(
            client=self.client_address,
            method=self.command,
            path=self.path,
            headers=self.headers,
            body=json.loads(self.rfile.read(length) or "null"),
            connection=self.connection,
        )
        self.server.requests.append(request)
        answer = self.server.handlers.get(self.path, self.server.handler)(request)
        if answer is None:
            self.close_connection = True
            return
        status, body = answer
        content = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_DELETE = answer

    def log_message(self, *args):
        """Keep the tests' output clean."""


class FakeVonage(ThreadingHTTPServer):
    """Note every request in ``requests``, and answer it as scripted.

    A handler takes a request (client, method, path, headers, body, connection) and returns a
    status and a body, or None to close the connection, on which it may have answered by itself.
    ``handlers`` has those of single paths; ``handler`` is for all others.
    """

    def __init__(self, certificate):
        super().__init__(("localhost", 0), Handler)
        self.requests = []
        self.handlers = {}
        self.handler = self.accept
        self.closing = threading.Event()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        # The handshake is left to the thread of the connection: a client that gives it up
        # must not keep others waiting.
        self.socket = context.wrap_socket(
            self.socket, server_side=True, do_handshake_on_connect=False
        )

    @property
    def host(self) -> str:
        return f"localhost:{self.server_port}"

    def accept(self, request):
        """Answer as to a start that succeeds."""
        return 202, {"request_id": str(uuid4())}

    def drop(self, request):
        """Close the connection without an answer."""

    def hang(self, request):
        """Leave the request without an answer until the test is over."""
        self.closing.wait(30)

    def handle_error(self, request, client_address):
        """Ignore clients that hang up."""

    def stop(self):
        self.closing.set()
        self.shutdown()
        self.server_close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    return write_certificate(tmp_path_factory.mktemp("tls") / "localhost.pem")


def write_certificate(path):
    """Write a key and a certificate for localhost, signed by itself, into a file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2120, 1, 1, tzinfo=UTC))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def fake_vonage(certificate, settings, monkeypatch):
    """Serve as Vonage; the site's settings name this server, and credentials for it."""
    server = FakeVonage(certificate)
    # The poll is how long its end may take.
    threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    settings.VONAGE_API_HOST = server.host
    settings.VONAGE_API_KEY, settings.VONAGE_API_SECRET = "abcd1234", "shared-secret"
    yield server
    # Its connections are kept open, and would outlive the server.
    client.verify_client().http_client._session.close()
    server.stop()
