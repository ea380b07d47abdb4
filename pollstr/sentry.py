"""Faults told to Sentry, where the owner has one: what failed and where, and nothing else.

An event is made anew from what is known to be harmless, instead of taking out what is known not
to be. Of the request it tells the route and the id, by which the log tells the rest.
"""

import logging

import sentry_sdk
from sentry_sdk.integrations.atexit import AtexitIntegration
from sentry_sdk.integrations.excepthook import ExcepthookIntegration
from sentry_sdk.integrations.logging import LoggingIntegration

from .environment import named

KEPT = ("event_id", "timestamp", "platform", "level", "logger", "environment", "release")
KEPT_OF_FRAME = ("filename", "function", "module", "lineno", "in_app")


def start(dsn: str, **options):
    """Have errors that are logged, and what ends a command, sent to ``dsn``."""
    with named("SENTRY_DSN", "like https://key@host/1"):
        sentry_sdk.init(
            dsn,
            before_send=harmless,
            # The others read requests and queries, or patch what makes calls.
            default_integrations=False,
            auto_enabling_integrations=False,
            integrations=[
                LoggingIntegration(level=None, event_level=logging.ERROR),
                ExcepthookIntegration(),
                AtexitIntegration(callback=lambda pending, timeout: None),
            ],
            max_breadcrumbs=0,
            include_local_variables=False,
            include_source_context=False,
            max_request_body_size="never",
            auto_session_tracking=False,
            **options,
        )


def harmless(event, hint) -> dict:
    from .logs import request_id

    record = hint.get("log_record")
    told = {key: event[key] for key in KEPT if key in event}
    told["tags"] = {"request_id": request_id.get()}
    told["exception"] = {"values": [what_failed(error) for error in errors_of(event)]}
    if record:
        # In the place of its message, into which anything may have been written.
        told["message"] = f"{record.name}: {record.funcName}, line {record.lineno}"
        match = getattr(getattr(record, "request", None), "resolver_match", None)
        told["transaction"] = match.route if match else None
    return told


def errors_of(event) -> list[dict]:
    return event.get("exception", {}).get("values", [])


def what_failed(error) -> dict:
    """Keep the kind of an error and where it was, without its words."""
    frames = (error.get("stacktrace") or {}).get("frames", [])
    kept = [{key: frame.get(key) for key in KEPT_OF_FRAME} for frame in frames]
    told = {"type": error.get("type"), "module": error.get("module")}
    return told | ({"stacktrace": {"frames": kept}} if kept else {})
