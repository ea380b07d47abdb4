"""The wire under the SDK: a call ends in time, and we know whether it was sent at all.

By itself a timeout is for each single read: a byte now and then would keep a thread for minutes.
This uses internals of urllib3 (``ConnectionCls``, ``fp``): keep its version pinned.
"""

import io
import threading
from contextlib import contextmanager
from http.client import HTTPResponse
from time import monotonic

from requests.adapters import HTTPAdapter
from urllib3 import Timeout
from urllib3.connection import HTTPSConnection


class Deadline(io.RawIOBase):
    """What comes from a socket, until the time is up that it has for one read."""

    def __init__(self, raw, sock):
        self.raw, self.sock = raw, sock
        self.ends_at = monotonic() + sock.gettimeout()

    def readable(self):
        return True

    def readinto(self, buffer):
        left = self.ends_at - monotonic()
        if left <= 0:
            raise TimeoutError
        self.sock.settimeout(left)
        return self.raw.readinto(buffer)

    def close(self):
        self.raw.close()
        super().close()


class Answer(HTTPResponse):
    def __init__(self, sock, *args, **kwargs):
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(Deadline(self.fp.detach(), sock))


# ``wire.is_sent``: whether the last call of this thread may have reached the server.
wire = threading.local()


@contextmanager
def before_sending():
    """Note that what fails in here fails before a byte of the request leaves this machine."""
    try:
        yield
    except BaseException:
        wire.is_sent = False
        raise


class Connection(HTTPSConnection):
    response_class = Answer

    def connect(self):
        # The name, the connection, a proxy's tunnel and the TLS handshake: all come first.
        with before_sending():
            super().connect()


class BoundedAdapter(HTTPAdapter):
    """Give a call its timeout once, for connecting and for the whole answer together."""

    def get_connection_with_tls_context(self, *args, **kwargs):
        with before_sending():
            pool = super().get_connection_with_tls_context(*args, **kwargs)
        pool.ConnectionCls = Connection
        return pool

    def cert_verify(self, *args, **kwargs):
        # Raises OSError where the file of certificates is missing.
        with before_sending():
            super().cert_verify(*args, **kwargs)

    def send(self, request, timeout=None, **kwargs):
        wire.is_sent = True
        return super().send(request, timeout=Timeout(total=timeout), **kwargs)
