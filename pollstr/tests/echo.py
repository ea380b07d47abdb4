"""A WSGI application that tells what arrived, for tests of the web server."""

import json
import logging
import os
import time

from pollstr import gunicorn_worker
from pollstr.log_format import JsonFormatter

handler = logging.StreamHandler()
handler.setFormatter(JsonFormatter())
logging.basicConfig(level=logging.INFO, handlers=[handler])
# The worker's limits, where a test wants to see them reached.
for name, value in os.environ.items():
    if hasattr(gunicorn_worker, name):
        setattr(gunicorn_worker, name, int(value))


def application(environ, start_response):
    kind = environ["PATH_INFO"]
    body = environ["wsgi.input"].read()
    if kind == "/slow":
        time.sleep(1)
    if kind == "/stuck":
        time.sleep(60)
    if kind in {"/not-modified", "/no-content"}:
        start_response("304 Not Modified" if kind == "/not-modified" else "204 No Content", [])
        return []
    if kind == "/stream":
        start_response("200 OK", [("Content-Type", "text/csv")])
        return (f"{line},{'x' * 100}\n".encode() for line in range(50_000))
    if kind == "/endless":
        start_response("200 OK", [("Content-Type", "text/csv")])
        return (bytes(100_000) for _ in range(1000))
    if kind == "/broken":
        raise ValueError("/broken?secret=1")
    headers = {name: value for name, value in environ.items() if isinstance(value, str)}
    told = json.dumps(headers | {"length": len(body)}).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("X-Kind", kind)])
    return [told]
