"""A gunicorn worker that reads requests and sends answers without blocking a thread.

gunicorn's own thread worker reads in the threads that serve pages: eight clients that send half a
request and wait stop a worker. Here waitress reads, parses and sends in one event loop, and a
thread gets a request only when all of it has arrived. Master, signals, reload and settings stay
gunicorn's.

This module is loaded by gunicorn's master and must not import Django or the rest of the site: after
a reload (HUP) workers would keep the old code.
"""

import contextlib
import logging
import os
import resource
import selectors
import socket
import time
from collections import deque

from gunicorn.glogging import Logger
from gunicorn.workers.base import Worker
from waitress import task, wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.receiver import ChunkedReceiver
from waitress.server import TcpWSGIServer, UnixWSGIServer
from waitress.utilities import BadRequest, RequestEntityTooLarge

from .log_format import JsonFormatter

logger = logging.getLogger("pollstr.server")

# Bytes. Larger bodies are not kept: the site gets the request without its body and answers 413.
# settings.DATA_UPLOAD_MAX_MEMORY_SIZE is the same number.
MAX_BODY_BYTES = 256 * 1024
MAX_HEADER_BYTES = 32 * 1024
# What a body in chunks has beside its data: their sizes, extensions, line ends and trailers.
MAX_FRAMING_BYTES = 8 * 1024
# Bodies that have arrived in part, over all connections of a worker.
MAX_PARTIAL_BYTES = 32 * 1024 * 1024

# Seconds that a connection may take: to begin its first request, to send all of a request, to take
# more of an answer, and to read why a request was refused. gunicorn's keepalive bounds how long it
# may be idle after an answer.
FIRST_REQUEST_SECONDS = 20
REQUEST_SECONDS = 60
STALLED_SECONDS = 30
LINGER_SECONDS = 5
# Seconds that half a request gets to arrive when the worker stops.
STOP_REQUEST_SECONDS = 5
# Seconds that a connection counts as just opened.
NEW_SECONDS = 1
# File descriptors that are not connections: database, log, static files.
OTHER_FILES = 100


class JsonLogger(Logger):
    """Writes gunicorn's own lines in the format of the site's log."""

    def setup(self, cfg):
        super().setup(cfg)
        for handler in self.error_log.handlers:
            handler.setFormatter(JsonFormatter())


class BoundedChunks(ChunkedReceiver):
    """Refuses chunks that carry hardly any data.

    Without a bound, waitress copies a line that does not end again with each piece that arrives,
    in the event loop: 8 bytes at a time that is 4 seconds of a processor for 256 kB.
    """

    framing_bytes = 0

    def received(self, data):
        before = len(self)
        consumed = super().received(data)
        self.framing_bytes += consumed - (len(self) - before)
        if self.framing_bytes > MAX_FRAMING_BYTES and not self.error:
            self.error = BadRequest("more framing than data")
        return consumed


class Parser(HTTPRequestParser):
    """Refuses what two servers in a row could read in two ways (RFC 9112, sections 5.2 and 6.3)."""

    is_too_large = False

    def parse_header(self, header_plus):
        lines = header_plus.split(b"\r\n")
        if not lines[0].endswith((b" HTTP/1.1", b" HTTP/1.0")):
            raise ParsingError("HTTP version")
        if any(line[:1] in {b" ", b"\t"} for line in lines[1:]):
            raise ParsingError("folded header")
        names = [line.partition(b":")[0].lower() for line in lines[1:]]
        lengths, encodings = names.count(b"content-length"), names.count(b"transfer-encoding")
        if lengths + encodings > 1 or names.count(b"host") > 1:
            raise ParsingError("repeated or contradicting headers")
        if encodings and lines[0].endswith(b"1.0"):
            raise ParsingError("Transfer-Encoding in HTTP/1.0")
        try:
            super().parse_header(header_plus)
        except ValueError:
            # Of an address such as http://[x]/, or a length of 5,000 digits.
            raise ParsingError("unreadable") from None
        if self.chunked:
            self.body_rcv = BoundedChunks(self.body_rcv.buf)

    def received(self, data):
        consumed = super().received(data)
        if self.empty:
            # One empty line before a request is forgiven. Endless ones would cost a parser each.
            self.empty, self.error = False, BadRequest("empty lines")
        if isinstance(self.error, RequestEntityTooLarge):
            self.drop_body()
        # The connection is closed after a refusal, so what stands behind is not parsed.
        is_last = self.error or self.is_too_large
        return len(data) if is_last else consumed

    def drop_body(self):
        """Hand the request on without its body: the site's page says what is wrong."""
        self.error, self.is_too_large, self.expect_continue = None, True, False
        if self.chunked:
            self.headers["CONTENT_LENGTH"] = str(self.body_bytes_received)
        self.close()
        self.body_rcv = None


class Answer(task.WSGITask):
    def start(self):
        super().start()
        if self.request.is_too_large or self.channel.server.worker.is_stopping:
            self.set_close_on_finish()

    # waitress sends the body of an answer to HEAD, too.
    def write(self, data):
        is_head = self.request.command == "HEAD"
        super().write(b"" if is_head else data)
        if is_head:
            self.chunked_response = False

    def get_environment(self):
        environ = super().get_environment()
        if self.request.command == "HEAD":
            # It would be sent past `write`.
            environ.pop("wsgi.file_wrapper", None)
        return environ

    def set_close_on_finish(self):
        # waitress closes each connection whose answer has no length. 204 and 304 need none.
        is_needless = (
            not self.has_body
            and not self.wrote_header
            and self.version == "1.1"
            and self.request.headers.get("CONNECTION", "").lower() != "close"
            and not self.channel.server.worker.is_stopping
        )
        if not is_needless:
            super().set_close_on_finish()


class Refusal(task.ErrorTask):
    """Answers what is not HTTP. The answer does not repeat what was sent."""

    def execute(self):
        error = self.request.error
        logger.info("refused what is not a valid request: %s", error.code)
        self.status = f"{error.code} {error.reason}"
        body = f"{error.reason}: your browser sent something this server cannot read.\n".encode()
        self.content_length = len(body)
        self.response_headers.append(("Content-Type", "text/plain; charset=utf-8"))
        self.set_close_on_finish()
        self.write(body)


class Channel(HTTPChannel):
    """One connection. Threads run ``service`` and ``write_soon``; the event loop does the rest."""

    parser_class, task_class, error_task_class = Parser, Answer, Refusal
    request_began = 0.0
    has_answered = False
    is_refused = False
    linger_until = 0.0

    def received(self, data):
        if self.request is None:
            self.request_began = time.time()
        return super().received(data)

    def service(self):
        worker, request = self.server.worker, self.requests[0]
        self.is_refused = bool(request.error) or request.is_too_large
        worker.busy[self] = time.monotonic()
        try:
            super().service()
        finally:
            del worker.busy[self]
            self.has_answered = True
            worker.count_request()
            worker.loop.changed(self)

    def write_soon(self, data):
        written = super().write_soon(data)
        if self.total_outbufs_len:
            self.server.worker.loop.changed(self)
        return written

    # A connection that is closed with unread data is reset, and the client may never see the
    # answer. So after a refusal the rest of what is sent is read and dropped for a moment.
    def handle_write(self):
        if not (self.is_refused and self.close_when_flushed):
            return super().handle_write()
        self._flush_exception(self._flush_some)
        if self.will_close or not self.connected:
            self.handle_close()
        elif not self.total_outbufs_len:
            self.close_when_flushed = False
            self.linger_until = time.time() + LINGER_SECONDS
            try:
                self.socket.shutdown(socket.SHUT_WR)
            except OSError:
                self.handle_close()

    def readable(self):
        return bool(self.linger_until) or super().readable()

    def handle_read(self):
        if not self.linger_until:
            return super().handle_read()
        try:
            self.recv(64 * 1024)
        except OSError:
            self.handle_close()

    @property
    def is_waiting(self) -> bool:
        """Whether closing the connection interrupts no request and no answer."""
        return not (self.requests or self.total_outbufs_len)

    @property
    def waits_since(self) -> float:
        return self.request_began if self.request else self.last_activity

    def may_close_at_stop(self, took) -> bool:
        """Whether nothing is lost with the connection, ``took`` seconds after the stop."""
        if not self.is_waiting:
            return False
        if self.request:
            return took > STOP_REQUEST_SECONDS
        # The first request of a connection just opened may be on its way.
        return self.has_answered or time.time() - self.creation_time > NEW_SECONDS

    def is_overdue(self, now, keepalive) -> bool:
        if self.linger_until:
            return now > self.linger_until
        if self.total_outbufs_len:
            return now - self.last_activity > STALLED_SECONDS
        if self.requests:
            return False
        if self.request:
            return now - self.request_began > REQUEST_SECONDS
        return now - self.last_activity > (
            keepalive if self.has_answered else FIRST_REQUEST_SECONDS
        )


class Listener:
    """What waitress's servers do differently here."""

    channel_class = Channel

    def readable(self):
        return self.accepting

    def handle_accept(self):
        self.worker.make_room()
        super().handle_accept()

    def stop_listening(self):
        self.accepting = False
        wasyncore.dispatcher.close(self)


class TcpListener(Listener, TcpWSGIServer):
    pass


class UnixListener(Listener, UnixWSGIServer):
    def fix_addr(self, addr):
        return ("", None)


class Loop(dict):
    """Waitress's event loop. It looks only at connections where something happened.

    waitress's own asks each connection before each event, which takes 2 ms with 1,000 idle ones.
    The dict is its map of file descriptors.
    """

    def __init__(self):
        super().__init__()
        self.selector = selectors.DefaultSelector()
        self.changes = deque()

    def __setitem__(self, fd, item):
        super().__setitem__(fd, item)
        self.changes.append(item)

    def __delitem__(self, fd):
        super().__delitem__(fd)
        with contextlib.suppress(KeyError):
            self.selector.unregister(fd)

    def changed(self, channel):
        """Have the loop look at a connection again. Called by threads."""
        self.changes.append(channel)
        channel.server.pull_trigger()

    def once(self, timeout):
        while self.changes:
            self.update(self.changes.popleft())
        for key, events in self.selector.select(timeout):
            item = key.data
            if events & selectors.EVENT_READ and self.get(key.fd) is item:
                wasyncore.read(item)
            if events & selectors.EVENT_WRITE and self.get(key.fd) is item:
                wasyncore.write(item)
            self.update(item)

    def update(self, item):
        fd = item._fileno
        if fd is None or self.get(fd) is not item:
            return
        events = selectors.EVENT_READ if item.readable() else 0
        # Neither what listens nor what wakes the loop is ever written to.
        if isinstance(item, Channel) and item.writable():
            events |= selectors.EVENT_WRITE
        known = self.selector.get_map().get(fd)
        if not events:
            if known:
                self.selector.unregister(fd)
        elif not known:
            self.selector.register(fd, events, item)
        elif known.events != events:
            self.selector.modify(fd, events, item)

    def channels(self) -> list[Channel]:
        return [item for item in self.values() if isinstance(item, Channel)]


class BufferingWorker(Worker):
    is_stopping = False

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.loop, self.busy = Loop(), {}
        self.listeners = []
        self.max_connections = self.cfg.worker_connections

    def run(self):
        self.limit_connections()
        threads = task.ThreadedTaskDispatcher()
        threads.set_thread_count(self.cfg.threads)
        self.listeners = [self.listen(listener.sock, threads) for listener in self.sockets]
        while self.alive and self.ppid == os.getppid():
            self.beat()
            self.close_overdue()
            self.loop_for(1)
        self.stop()
        threads.shutdown(timeout=1)

    def limit_connections(self):
        """Stay below the number of files that the system allows a process."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = self.max_connections + OTHER_FILES
        if resource.RLIM_INFINITY != soft < wanted:
            soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            self.max_connections = max(soft - OTHER_FILES, self.cfg.threads)

    def listen(self, sock, threads):
        adjustments = Adjustments(
            sockets=[sock],
            threads=self.cfg.threads,
            ident=None,
            backlog=self.cfg.backlog,
            max_request_header_size=MAX_HEADER_BYTES,
            # waitress refuses what is as large as this, too.
            max_request_body_size=MAX_BODY_BYTES + 1,
            # Bodies stay in memory.
            inbuf_overflow=2 * MAX_BODY_BYTES,
            # TRUSTED_PROXIES decides which headers of proxies are believed.
            trusted_proxy=None,
            clear_untrusted_proxy_headers=False,
            log_socket_errors=False,
        )
        kind = UnixListener if sock.family == socket.AF_UNIX else TcpListener
        kind.worker = self
        return kind(
            self.wsgi,
            self.loop,
            _sock=sock,
            dispatcher=threads,
            adj=adjustments,
            sockinfo=(sock.family, sock.type, sock.proto, sock.getsockname()),
            bind_socket=False,
        )

    def handle_exit(self, sig, frame):
        self.alive = False
        if self.listeners:
            self.listeners[0].pull_trigger()

    def loop_for(self, seconds):
        ends = time.monotonic() + seconds
        was_alive = self.alive
        while self.alive == was_alive and (left := ends - time.monotonic()) > 0:
            self.loop.once(left)

    def beat(self):
        """Tell the master that the worker is well, unless all threads hang: then it is replaced."""
        since = time.monotonic() - self.cfg.timeout
        busy = list(self.busy.values())
        if len(busy) < self.cfg.threads or max(busy) > since:
            self.notify()
        else:
            logger.error("all threads have been busy for %s s: is replaced", self.cfg.timeout)

    def count_request(self):
        self.nr += 1
        if self.nr >= self.max_requests:
            self.alive = False

    def close_overdue(self):
        now, channels = time.time(), self.loop.channels()
        for channel in channels:
            if channel.is_overdue(now, self.cfg.keepalive):
                channel.handle_close()
        partial = [channel for channel in channels if channel.request and channel.connected]
        size = sum(channel.request.body_bytes_received for channel in partial)
        for channel in sorted(partial, key=lambda channel: channel.request_began):
            if size <= MAX_PARTIAL_BYTES:
                break
            size -= channel.request.body_bytes_received
            channel.handle_close()

    def make_room(self):
        """Close the connections that have waited longest, where a new one would be too many."""
        if len(self.loop) < self.max_connections:
            return
        waiting = [channel for channel in self.loop.channels() if channel.is_waiting]
        waiting.sort(key=lambda channel: channel.waits_since)
        # Several, so that not each newcomer has to look for one.
        for channel in waiting[: 1 + self.max_connections // 50]:
            channel.handle_close()

    def stop(self):
        """Accept nothing more, and finish the requests that have arrived."""
        self.is_stopping = True
        for listener in self.listeners:
            listener.stop_listening()
        began = time.monotonic()
        while (took := time.monotonic() - began) < self.cfg.graceful_timeout:
            self.notify()
            # What has arrived by now is read before its connection counts as idle.
            self.loop.once(0)
            for channel in self.loop.channels():
                if channel.may_close_at_stop(took):
                    channel.handle_close()
            if not self.loop.channels():
                break
            self.loop.once(0.1)
