"""The worker of gunicorn, asked over sockets as browsers, proxies and attackers do."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.conf import settings
from hypothesis import given
from hypothesis import strategies as st
from waitress.adjustments import Adjustments

from pollstr.gunicorn_worker import MAX_BODY_BYTES, MAX_FRAMING_BYTES, Parser

WAIT = 20  # seconds
BODY = b"POST / HTTP/1.1\r\nHost: a.example\r\n"


@contextlib.contextmanager
def serving(directory, *options, **limits):
    """Serve the echo, with other limits of the worker; yield the port, the process and the log."""
    with socket.create_server(("127.0.0.1", 0)) as spare:
        port = spare.getsockname()[1]
    command = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}"]
    log = directory / "web.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [*command, *options, "pollstr.tests.echo"],
            env={"PATH": os.environ["PATH"], "WEB_CONCURRENCY": "1"} | limits,
            cwd=settings.BASE_DIR,
            stdout=output,
            stderr=output,
        )
    try:
        wait_for(port, process, log)
        yield port, process, log
    finally:
        process.terminate()
        process.wait(WAIT)


def wait_for(port, process, log):
    deadline = time.monotonic() + WAIT
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(ConnectionError):
            assert ask(port, b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.0 200")
            return
        time.sleep(0.05)
    pytest.fail(log.read_text())


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="module")
def port(server):
    return server[0]


def connected(port):
    return socket.create_connection(("127.0.0.1", port), 5)


def ask(port, request: bytes, seconds=5) -> bytes:
    """Send the bytes; return all that comes back until the server closes or is silent."""
    with socket.create_connection(("127.0.0.1", port), seconds) as client:
        client.sendall(request)
        return read_all(client)


def read_all(client) -> bytes:
    answer = b""
    with contextlib.suppress(TimeoutError):
        while part := client.recv(65536):
            answer += part
    return answer


def echo(answer: bytes) -> dict:
    return json.loads(answer.partition(b"\r\n\r\n")[2])


def status(answer: bytes) -> int:
    return int(answer[9:12] or 0)


def test_a_request_arrives_with_its_body(port):
    told = echo(ask(port, BODY + b"Connection: close\r\nContent-Length: 5\r\n\r\nhello"))
    assert (told["REQUEST_METHOD"], told["HTTP_HOST"], told["length"]) == ("POST", "a.example", 5)
    assert (told["REMOTE_ADDR"], told["wsgi.url_scheme"]) == ("127.0.0.1", "http")


def test_a_body_in_chunks_arrives_with_its_length(port):
    chunks = (
        b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    )
    told = echo(ask(port, BODY + chunks))
    assert (told["CONTENT_LENGTH"], told["length"]) == ("5", 5)
    assert "HTTP_TRANSFER_ENCODING" not in told


def test_headers_of_proxies_arrive_as_they_were_sent(port):
    headers = {"X-Forwarded-For": "1.2.3.4, 5.6.7.8", "X-Forwarded-Proto": "https"}
    sent = "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()
    told = echo(ask(port, BODY + b"Connection: close\r\n" + sent + b"\r\n"))
    assert told["HTTP_X_FORWARDED_FOR"] == "1.2.3.4, 5.6.7.8"
    assert (told["HTTP_X_FORWARDED_PROTO"], told["wsgi.url_scheme"]) == ("https", "http")


def test_a_header_with_an_underscore_does_not_stand_in_for_a_proxys(port):
    forged = b"X_Forwarded_Proto: https\r\nX_Forwarded-For: 1.2.3.4\r\nConnection: close\r\n\r\n"
    told = echo(ask(port, BODY + forged))
    assert not [name for name in told if "FORWARDED" in name]


AMBIGUOUS = {
    "two kinds of length": b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "the other order": b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "an underscore as a second length": b"Content-Length: 5\r\ncontent-length : 6\r\n\r\nhello",
    "two lengths": b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "a list of lengths": b"Content-Length: 5, 5\r\n\r\nhello",
    "a signed length": b"Content-Length: +5\r\n\r\nhello",
    "a negative length": b"Content-Length: -5\r\n\r\nhello",
    "a hexadecimal length": b"Content-Length: 0x5\r\n\r\nhello",
    "an empty length": b"Content-Length: \r\n\r\nhello",
    "a length without end": b"Content-Length: " + b"9" * 5000 + b"\r\n\r\nhello",
    "a length of other digits": "Content-Length: ５\r\n\r\nhello".encode(),
    "two encodings": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "an unknown encoding": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "gzip as encoding": b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "a blank before the colon": b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "a vertical tab": b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    "a folded header": b"X-A: b\r\n c\r\n\r\n",
    "a folded encoding": b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "a first header that is folded": b" X-A: b\r\n\r\n",
    "a bare line feed": b"X-A: b\nX-B: c\r\n\r\n",
    "a bare carriage return": b"X-A: b\rX-B: c\r\n\r\n",
    "a NUL": b"X-A: b\0c\r\n\r\n",
    "a header without a colon": b"nothing\r\n\r\n",
    "a header without a name": b": nothing\r\n\r\n",
    "a second host": b"Host: b.example\r\n\r\n",
    "a chunk of odd size": b"Transfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n",
    "a chunk of negative size": b"Transfer-Encoding: chunked\r\n\r\n-3\r\nabc\r\n0\r\n\r\n",
    "a chunk that is too long": b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
    "a chunk ended by a line feed": b"Transfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n\r\n\r\n",
}


@pytest.mark.parametrize("headers", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
def test_what_can_be_read_in_two_ways_is_refused_and_the_connection_closed(port, headers):
    hidden = b"GET /hidden HTTP/1.1\r\nHost: a.example\r\n\r\n"
    answer = ask(port, BODY + headers + hidden)
    assert status(answer) in {400, 501}
    assert answer.count(b"HTTP/1.") == 1
    assert b"/hidden" not in answer


@pytest.mark.parametrize(
    "line",
    [
        b"GET / HTTP/2.0",
        b"GET / HTTP/1.2",
        b"GET / HTTP/0.9",
        b"GET /",
        b"GET  / HTTP/1.1",
        b"GET / x HTTP/1.1",
        b"get / HTTP/1.1",
        b"\x16\x03\x01\x02\x00",
        b"PRI * HTTP/2.0",
        b"GET http://[::1 HTTP/1.1",
        b"GET http://[x]/ HTTP/1.1",
    ],
)
def test_a_first_line_that_is_none_is_refused(port, line):
    assert status(ask(port, line + b"\r\nHost: a.example\r\n\r\n")) == 400


PIECES = [
    *(headers.partition(b"\r\n")[0] + b"\r\n" for headers in AMBIGUOUS.values()),
    *(bytes([byte]) for byte in b"\r\n\0 :;,0\xff"),
    BODY,
    b"\r\n\r\n",
    b"GET http://[::1/%ff?\xff HTTP/1.1\r\n",
    b"Expect: 100-continue\r\n",
]


def parser_of_chunks() -> Parser:
    parser = Parser(Adjustments(max_request_body_size=MAX_BODY_BYTES + 1))
    parser.received(BODY + b"Transfer-Encoding: chunked\r\n\r\n")
    return parser


@pytest.mark.parametrize("nothing", [b"\r\n\r\n", b" \r\n\r\n", b"\n\r\n\r\n"])
def test_requests_of_nothing_end_the_connection(port, nothing):
    with connected(port) as client:
        client.sendall(nothing)
        assert status(read_all(client)) == 400


def test_an_empty_line_before_a_request_is_forgiven(port):
    assert status(ask(port, b"\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")) == 200


@pytest.mark.parametrize(
    "refused",
    [
        b"nothing\r\n\r\n",
        b"\r\n\r\n",
        BODY + b"Content-Length: 300000\r\n\r\n",
        BODY + b"Transfer-Encoding: chunked\r\n\r\nx\r\n",
    ],
)
def test_what_stands_behind_a_refused_request_is_not_read(refused):
    parser = Parser(Adjustments(max_request_body_size=MAX_BODY_BYTES + 1))
    data = refused + b"x\r\n\r\n" * 1000
    taken = 0
    while not parser.completed:
        taken += parser.received(data[taken:])
    assert taken == len(data)


@given(st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=20)), max_size=8))
def test_no_bytes_break_the_parser(pieces):
    adjustments = Adjustments(max_request_body_size=100)
    for parts in [pieces, [b"".join(pieces)]]:
        parser = Parser(adjustments)
        for part in parts:
            # As the event loop does it, with what was not taken yet.
            while part and not parser.completed:
                part = part[parser.received(part) :]
        assert parser.completed in {True, False}
        parser.close()


def test_chunks_in_http_1_0_are_refused(port):
    chunks = b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    assert status(ask(port, chunks)) == 400


def test_a_refusal_does_not_repeat_what_was_sent(port, server):
    answer = ask(port, BODY + b"<script>alert(1)</script>\r\n\r\n")
    assert status(answer) == 400
    assert b"script" not in answer
    assert "script" not in server[2].read_text()


@pytest.mark.parametrize("size", [40_000, 5_000_000])
def test_headers_that_are_too_large_are_refused(port, size):
    large = b"GET / HTTP/1.1\r\nHost: a.example\r\nX-A: " + b"x" * size + b"\r\n\r\n"
    assert status(ask(port, large)) == 431


def test_a_body_of_the_most_bytes_arrives(port):
    head = BODY + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % MAX_BODY_BYTES
    assert echo(ask(port, head + bytes(MAX_BODY_BYTES)))["length"] == MAX_BODY_BYTES


@pytest.mark.parametrize("more", [1, 10_000_000])
@pytest.mark.parametrize("expect", [b"", b"Expect: 100-continue\r\n"])
def test_a_larger_body_is_not_kept_and_the_site_is_told_its_length(port, more, expect):
    length = MAX_BODY_BYTES + more
    answer = ask(port, BODY + expect + b"Content-Length: %d\r\n\r\n" % length + bytes(length))
    told = echo(answer)
    assert (told["CONTENT_LENGTH"], told["length"]) == (str(length), 0)
    assert b"Connection: close" in answer


def test_a_body_that_is_announced_only_is_answered_at_once(port):
    began = time.monotonic()
    with connected(port) as client:
        client.sendall(BODY + b"Content-Length: 9999999999\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200")
    assert time.monotonic() - began < 2


def test_chunks_without_end_are_not_kept(port):
    chunk = b"ffff\r\n" + bytes(0xFFFF) + b"\r\n"
    told = echo(ask(port, BODY + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 20))
    assert int(told["CONTENT_LENGTH"]) > MAX_BODY_BYTES
    assert told["length"] == 0


# Each is data that hardly carries any: waitress looks again at what has not ended yet, or does so
# much for each chunk, that a few megabits a second would keep the loop busy.
HOLLOW_CHUNKS = {
    "chunks of one byte": b"1\r\na\r\n" * 50_000,
    "a size with an extension that does not end": b"1;" + b"a=b;" * 60_000,
    "a size that does not end": b"0" * 250_000,
    "empty lines": b"\r\n" * 120_000,
    "trailers that do not end": b"0\r\n" + b"X: y\r\n" * 40_000,
}


@pytest.mark.parametrize("chunks", HOLLOW_CHUNKS.values(), ids=HOLLOW_CHUNKS.keys())
@pytest.mark.parametrize("size", [100, 8192])
def test_chunks_that_carry_hardly_anything_are_refused_early(chunks, size):
    parser = parser_of_chunks()
    taken = 0
    while not parser.completed and taken < len(chunks):
        taken += parser.received(chunks[taken : taken + size])
    assert parser.error.code == 400
    assert taken <= MAX_FRAMING_BYTES * 1.25 + size


@pytest.mark.parametrize("size", [100, 600, 8000, 100_000])
def test_chunks_as_clients_send_them_are_read(size):
    parser = parser_of_chunks()
    chunk = b"%x;name=value\r\n" % size + b"x" * size + b"\r\n"
    many = min(400, MAX_BODY_BYTES // (size + 50))
    parser.received(chunk * many + b"0\r\nX-Trailer: 1\r\n\r\n")
    assert parser.completed
    assert parser.error is None
    assert parser.headers["CONTENT_LENGTH"] == str(size * many)


def test_a_connection_is_kept_for_the_next_request(port):
    one = b"GET /first HTTP/1.1\r\nHost: a.example\r\n\r\n"
    two = b"GET /second HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n"
    answer = ask(port, one + two)
    assert re.findall(rb"X-Kind: (\S+)", answer) == [b"/first", b"/second"]


@pytest.mark.parametrize("kind", ["not-modified", "no-content"])
def test_an_answer_without_a_body_keeps_the_connection(port, kind):
    one = f"GET /{kind} HTTP/1.1\r\nHost: a.example\r\n\r\n".encode()
    two = b"GET /second HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n"
    first, _, second = ask(port, one + two).partition(b"\r\n\r\n")
    assert b"Connection: close" not in first
    assert b"/second" in second


@pytest.mark.parametrize("path", [b"/", b"/stream"])
def test_a_head_request_gets_the_headers_alone(port, server, path):
    answer = ask(port, b"HEAD %b HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n" % path)
    assert status(answer) == 200
    assert answer.endswith(b"\r\n\r\n")
    assert (b"Content-Length: " in answer) is (path == b"/")
    assert "HEAD" not in server[2].read_text()


def test_an_answer_of_unknown_length_arrives_whole(port):
    answer = ask(port, b"GET /stream HTTP/1.1\r\nHost: a.example\r\n\r\n")
    assert b"Transfer-Encoding: chunked" in answer
    assert b"49999," in answer
    assert answer.endswith(b"0\r\n\r\n")


def test_a_fault_of_the_application_is_a_500_and_tells_no_path(port, server):
    assert status(ask(port, b"GET /broken?secret=1 HTTP/1.1\r\nHost: a.example\r\n\r\n")) == 500
    assert "secret" not in server[2].read_text()


def test_a_socket_in_the_file_system_serves_too(tmp_path):
    path = tmp_path / "web.sock"
    with serving(tmp_path, "--bind", f"unix:{path}"), socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        client.connect(str(path))
        client.sendall(BODY + b"Connection: close\r\n\r\n")
        assert echo(read_all(client))["REMOTE_ADDR"] == ""


def test_newcomers_are_served_where_idle_connections_fill_the_worker(tmp_path):
    with (
        serving(tmp_path, "--worker-connections", "20") as (port, _, _),
        contextlib.ExitStack() as s,
    ):
        idle = [s.enter_context(connected(port)) for _ in range(30)]
        half = [s.enter_context(connected(port)) for _ in range(30)]
        for client in half:
            client.sendall(BODY)
        assert status(ask(port, BODY + b"Connection: close\r\n\r\n")) == 200
        # Those that waited longest went.
        assert idle[0].recv(1) == b""
        half[-1].sendall(b"Connection: close\r\n\r\n")
        assert status(read_all(half[-1])) == 200


def seconds_until_closed(client, trickle=b"") -> float:
    """Send ``trickle`` each half second until the server closes; return after how many seconds."""
    began = time.monotonic()
    client.settimeout(0.5)
    while time.monotonic() - began < 10:
        try:
            client.sendall(trickle)
            if client.recv(65536) == b"":
                break
        except TimeoutError:
            continue
        except ConnectionError:
            break
    return time.monotonic() - began


@pytest.mark.parametrize(
    ("limits", "options", "sends", "trickle"),
    [
        ({"FIRST_REQUEST_SECONDS": "2"}, [], b"", b""),
        ({"REQUEST_SECONDS": "2"}, [], BODY, b"X-A: b\r\n"),
        ({"REQUEST_SECONDS": "2"}, [], BODY + b"Content-Length: 99\r\n\r\n", b"x"),
        ({}, ["--keep-alive", "2"], BODY + b"\r\n", b""),
    ],
    ids=["nothing", "a header without end", "a body without end", "idle"],
)
def test_a_connection_is_closed_in_time(tmp_path, limits, options, sends, trickle):
    with serving(tmp_path, *options, **limits) as (port, _, _), connected(port) as client:
        client.sendall(sends)
        assert 0.9 < seconds_until_closed(client, trickle) < 6


def test_who_is_refused_may_send_on_for_a_moment_and_gets_the_answer(tmp_path):
    with serving(tmp_path, LINGER_SECONDS="2") as (port, _, _), connected(port) as client:
        client.sendall(BODY + b"Content-Length: 999999\r\n\r\n")
        assert status(read_all(client)) == 200
        began = time.monotonic()
        with contextlib.suppress(ConnectionError):
            while time.monotonic() - began < 10:
                client.sendall(b"x" * 99)
                time.sleep(0.2)
        assert 0.9 < time.monotonic() - began < 6


def test_who_does_not_read_gives_the_thread_free(tmp_path):
    limits = ["--threads", "1"]
    with serving(tmp_path, *limits, STALLED_SECONDS="1") as (port, _, _), connected(port) as client:
        client.sendall(b"GET /endless HTTP/1.1\r\nHost: a.example\r\n\r\n")
        time.sleep(0.5)
        assert status(ask(port, BODY + b"Connection: close\r\n\r\n", 10)) == 200


def test_who_reads_slowly_is_served_to_the_end(tmp_path):
    with serving(tmp_path, STALLED_SECONDS="1") as (port, _, _), connected(port) as client:
        client.sendall(b"GET /endless HTTP/1.1\r\nHost: a.example\r\n\r\n")
        read = 0
        while part := client.recv(4_000_000):
            read += len(part)
            time.sleep(0.02)
        assert read > 100_000_000


def test_bodies_that_arrive_in_part_have_a_bound_together(tmp_path):
    part = BODY + b"Content-Length: 200000\r\n\r\n" + bytes(150_000)
    with serving(tmp_path, MAX_PARTIAL_BYTES="400000") as (port, _, _), contextlib.ExitStack() as s:
        clients = []
        for _ in range(3):
            client = s.enter_context(connected(port))
            client.sendall(part)
            time.sleep(0.1)
            clients.append(client)
        # The oldest goes, and the others are served.
        assert seconds_until_closed(clients[0]) < 5
        for client in clients[1:]:
            client.settimeout(5)
            client.sendall(bytes(50_000))
            assert client.recv(12) == b"HTTP/1.1 200"


def test_a_request_under_way_is_answered_before_the_worker_stops(tmp_path):
    with serving(tmp_path) as (port, process, log):
        with (
            connected(port) as slow,
            connected(port) as late,
            connected(port) as idle,
        ):
            slow.sendall(b"GET /slow HTTP/1.1\r\nHost: a.example\r\n\r\n")
            late.sendall(BODY + b"Content-Length: 5\r\n\r\nhel")
            time.sleep(0.3)
            process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            late.sendall(b"lo")
            assert idle.recv(1) == b""
            assert status(read_all(slow)) == 200
            assert echo(read_all(late))["length"] == 5
        began = time.monotonic()
        process.wait(WAIT)
        assert time.monotonic() - began < 3
        with pytest.raises(ConnectionError):
            ask(port, BODY + b"\r\n")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert {"Handling signal: term", "Shutting down: Master"} <= {line["message"] for line in lines}
    # waitress may warn that a request waited for a thread.
    assert {line["level"] for line in lines} <= {"INFO", "WARNING"}


def test_half_a_request_does_not_keep_the_worker_from_stopping(tmp_path):
    with serving(tmp_path) as (port, process, _):
        with connected(port) as client:
            client.sendall(BODY)
            time.sleep(0.3)
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            process.wait(WAIT)
        assert time.monotonic() - began < 10


def worker_of(process) -> int:
    return int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0])


def test_a_reload_brings_another_worker_and_refuses_nobody(tmp_path):
    with serving(tmp_path) as (port, process, _):
        before = worker_of(process)
        process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + WAIT
        while time.monotonic() < deadline:
            assert status(ask(port, BODY + b"Connection: close\r\n\r\n")) == 200
            if not Path(f"/proc/{before}").exists():
                break
        assert worker_of(process) != before


def test_a_worker_of_which_all_threads_hang_is_replaced(tmp_path):
    with serving(tmp_path, "--threads", "2", "--timeout", "2") as (port, _, log):
        with contextlib.ExitStack() as stack:
            for _ in range(2):
                client = stack.enter_context(connected(port))
                client.sendall(b"GET /stuck HTTP/1.1\r\nHost: a.example\r\n\r\n")
            assert status(ask(port, BODY + b"Connection: close\r\n\r\n", 15)) == 0
        deadline = time.monotonic() + WAIT
        while time.monotonic() < deadline:
            with contextlib.suppress(ConnectionError):
                if status(ask(port, BODY + b"Connection: close\r\n\r\n", 1)) == 200:
                    break
        assert "WORKER TIMEOUT" in log.read_text()


def test_the_master_does_not_load_django(tmp_path):
    """Else a reload (HUP) would not bring the site's new code."""
    loads = "import sys, pollstr.gunicorn_worker; print('django' in sys.modules)"
    command = [sys.executable, "-c", loads]
    done = subprocess.run(command, cwd=settings.BASE_DIR, capture_output=True, text=True)
    assert done.stdout == "False\n"
