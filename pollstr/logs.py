"""The log: a line of JSON a record, each naming its request, none holding personal data.

Paths are left out, for some are secrets (receipts, links to new passwords, polls by link); the
route that matched says enough. So are the messages of exceptions: a database's may quote a number.
"""

import json
import logging
import re
import time
import traceback
import uuid
from contextvars import ContextVar

from django.conf import settings
from django.db import connection

logger = logging.getLogger("pollstr.requests")
# No line tells these, so they need not be found out (Python's logging HOWTO, "Optimization").
logging.logThreads = logging.logMultiprocessing = logging.logAsyncioTasks = False
request_id = ContextVar("request_id", default=None)
# What routers make up as an id; anything else might be somebody's attempt at writing into the log.
PLAIN_ID = re.compile(r"[A-Za-z0-9-]{8,64}")


class JsonFormatter(logging.Formatter):
    def format(self, record):
        line = {
            "at": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname,
            "logger": record.name,
            "message": message_of(record),
            "request_id": request_id.get(),
        }
        if record.exc_info:
            line["exception"] = what_failed(*record.exc_info)
        return json.dumps(line | getattr(record, "facts", {}))


def message_of(record) -> str:
    message = record.getMessage()
    # Django ends what it says of a request with the path.
    return message.rpartition(": ")[0] or message if hasattr(record, "request") else message


def what_failed(kind, error, trace) -> dict:
    frames = [f"{f.filename}:{f.lineno} {f.name}" for f in traceback.extract_tb(trace)]
    return {"type": kind.__name__, "frames": frames}


class Queries:
    """Counts and times the queries of one request."""

    def __init__(self):
        self.count, self.seconds = 0, 0.0

    def __call__(self, execute, *args):
        began = time.perf_counter()
        try:
            return execute(*args)
        finally:
            self.count += 1
            self.seconds += time.perf_counter() - began


def id_for(request) -> str:
    """Return the id that a trusted proxy gave to the request, or a new one."""
    given = request.headers.get("X-Request-ID", "") if settings.TRUSTED_PROXIES else ""
    return given if PLAIN_ID.fullmatch(given) else str(uuid.uuid4())


def requests(get_response):
    """Log one line a request, and tell its id in the answer, so that people can quote it."""

    def middleware(request):
        current = request_id.set(id_for(request))
        began, queries = time.perf_counter(), Queries()
        try:
            with connection.execute_wrapper(queries):
                response = get_response(request)
            response["X-Request-ID"] = request_id.get()
            logger.info("request", extra={"facts": facts(request, response, began, queries)})
        finally:
            request_id.reset(current)
        return response

    return middleware


def facts(request, response, began, queries) -> dict:
    return {
        "method": request.method if request.method.isalpha() else "?",
        "route": request.resolver_match.route if request.resolver_match else None,
        "status": response.status_code,
        "ms": round(1000 * (time.perf_counter() - began), 1),
        "queries": queries.count,
        "queries_ms": round(1000 * queries.seconds, 1),
    }
