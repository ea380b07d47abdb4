"""The wire under the SDK, so that a call ends in time however slowly it is answered.

By itself a timeout is for each single read: a byte now and then would keep a thread for minutes.
"""

import io
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


class Connection(HTTPSConnection):
    response_class = Answer


class BoundedAdapter(HTTPAdapter):
    """Give a call its timeout once, for connecting and for the whole answer together."""

    def get_connection_with_tls_context(self, *args, **kwargs):
        pool = super().get_connection_with_tls_context(*args, **kwargs)
        pool.ConnectionCls = Connection
        return pool

    def send(self, request, timeout=None, **kwargs):
        return super().send(request, timeout=Timeout(total=timeout), **kwargs)
