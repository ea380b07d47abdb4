"""Clients that hold on to the server: half a request, nothing at all, no reading, far too much.

Each is a context: inside it the clients are there.
"""

import resource
import socket
import threading
from contextlib import ExitStack, contextmanager, suppress
from urllib.parse import urlsplit

TRICKLE_SECONDS = 2.5
HALF_A_HEADER = b"GET /polls/ HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "
HALF_A_BODY = (
    b"POST /login/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\n\r\nusername="
)
HALF_A_CHUNK = (
    b"POST /login/ HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\n\r\n3e8\r\nusername="
)
PAGES = b"GET /polls/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 5
UPLOAD_BYTES = 200_000_000
UPLOAD = (
    b"POST /login/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n"
    b"Cookie: csrftoken=abcdefghijklmnopqrstuvwxyz012345\r\n"
    b"Content-Type: multipart/form-data; boundary=x\r\n\r\n"
    b'--x\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'
) % UPLOAD_BYTES


def allow_files(number):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < number:
        resource.setrlimit(resource.RLIMIT_NOFILE, (number, hard))


@contextmanager
def connections(url, number, sends=b"", trickle=b"", receives=None):
    """Open connections, send the same on each, then ``trickle`` every 2.5 seconds; read nothing."""
    allow_files(number + 200)
    address = urlsplit(url)
    over = threading.Event()
    with ExitStack() as stack:
        clients = []
        for _ in range(number):
            client = stack.enter_context(socket.socket())
            if receives:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receives)
            client.settimeout(5)
            client.connect((address.hostname, address.port))
            client.sendall(sends)
            clients.append(client)
        thread = threading.Thread(target=keep_sending, args=(clients, trickle, over))
        thread.start()
        try:
            yield clients
        finally:
            over.set()
            thread.join()


def keep_sending(clients, trickle, over):
    while trickle and not over.wait(TRICKLE_SECONDS):
        for client in clients:
            with suppress(OSError):
                client.sendall(trickle)


def half_headers(url):
    return connections(url, 40, HALF_A_HEADER, b"x")


def half_bodies(url):
    return connections(url, 40, HALF_A_BODY, b"x")


def half_chunks(url):
    return connections(url, 40, HALF_A_CHUNK, b"x")


def idle(url):
    # More than one worker takes (gunicorn's worker_connections), and both together.
    return connections(url, 2100)


def not_reading(url):
    return connections(url, 40, PAGES, receives=2048)


@contextmanager
def uploads(url):
    """Two strangers, each sends 200 MB after the other."""
    over = threading.Event()
    threads = [threading.Thread(target=keep_uploading, args=(url, over)) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def keep_uploading(url, over):
    while not over.wait(0.2):
        with suppress(OSError):
            upload(url, over)


def upload(url, over=None) -> bytes:
    """Send 200 MB, or as much as the server takes; return what it answered."""
    address, part = urlsplit(url), bytes(1_000_000)
    with socket.create_connection((address.hostname, address.port), 10) as client:
        with suppress(OSError):
            client.sendall(UPLOAD)
            for _ in range(UPLOAD_BYTES // len(part)):
                if over and over.is_set():
                    break
                client.sendall(part)
        return client.recv(100_000)
