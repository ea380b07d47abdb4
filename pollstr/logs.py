"""The log: one line a request, and what may stand in any line (log_format.py makes it JSON).

Paths are left out because some are secrets (receipts, links to new passwords, polls by link). The
route that matched says enough.
"""

import logging
import re
import time
import uuid

from django.conf import settings
from django.db import connection
from django.views import View

from .log_format import request_id

logger = logging.getLogger("pollstr.requests")
# What routers make up as an id. Anything else may be an attempt to write into the log.
PLAIN_ID = re.compile(r"[A-Za-z0-9-]{8,64}")
METHODS = {name.upper() for name in View.http_method_names}


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


def proxy_id(request) -> str | None:
    """Return the id that a proxy gave to the request. Clients can send one, too."""
    given = request.headers.get("X-Request-ID", "") if settings.TRUSTED_PROXIES else ""
    return given if PLAIN_ID.fullmatch(given) else None


def requests(get_response):
    """Log one line a request, and tell its id in the answer, so that people can quote it."""

    def middleware(request):
        request.log_id = str(uuid.uuid4())
        current = request_id.set(request.log_id)
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
    told = {
        "method": request.method if request.method in METHODS else "?",
        "route": request.resolver_match.route if request.resolver_match else None,
        "status": response.status_code,
        "ms": round(1000 * (time.perf_counter() - began), 1),
        "queries": queries.count,
        "queries_ms": round(1000 * queries.seconds, 1),
    }
    if given := proxy_id(request):
        told["proxy_request_id"] = given
    return told


class AsWarning(logging.Filter):
    """Lowers errors to warnings: requests that we refuse are the sender's fault, not the site's."""

    def filter(self, record):
        if record.levelno == logging.ERROR:
            record.levelno, record.levelname = logging.WARNING, "WARNING"
        return True
