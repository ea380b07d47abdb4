"""The format of the log: a line of JSON a record, without personal data.

The messages of exceptions are left out: a database's may quote a number. Of a database that does
not answer the reason is told in words of our own.

gunicorn's master loads this module and must not load the rest of the site with it (see
gunicorn_worker.py).
"""

import json
import logging
import re
import traceback
from contextvars import ContextVar

from .database_errors import reason_of

# No line tells these, so they need not be found out (Python's logging HOWTO, "Optimization").
logging.logThreads = logging.logMultiprocessing = logging.logAsyncioTasks = False
request_id = ContextVar("request_id", default=None)


class JsonFormatter(logging.Formatter):
    def format(self, record):
        line = {
            "at": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname,
            "logger": record.name,
            "message": message_of(record),
            "request_id": request_id.get() or id_of_request(record),
        }
        if record.exc_info and record.exc_info[0]:
            line["exception"] = what_failed(*record.exc_info)
        return json.dumps(line | getattr(record, "facts", {}))


def id_of_request(record) -> str | None:
    """Return the id for what Django logs when our middleware is over."""
    return getattr(getattr(record, "request", None), "log_id", None)


def message_of(record) -> str:
    if record.name == "waitress":
        # Its messages hold paths and addresses.
        return f"the web server failed in {record.funcName}"
    message = record.getMessage()
    if record.name == "django.security.csrf":
        # It quotes the Origin or the Referer, which may be the address of a secret page.
        message = re.sub(r" - .* does not match", " - it does not match", message, flags=re.DOTALL)
    # Django ends what it says of a request with the path.
    return message.rpartition(": ")[0] or message if hasattr(record, "request") else message


def what_failed(kind, error, trace) -> dict:
    frames = [f"{f.filename}:{f.lineno} {f.name}" for f in traceback.extract_tb(trace)]
    failed = {"type": kind.__name__, "frames": frames}
    if kind.__name__ == "ImproperlyConfigured":
        # The sentence names a variable and never tells its value (environment.py).
        failed["message"] = str(error)
    if reason := reason_of(error):
        failed["reason"] = reason
    return failed
