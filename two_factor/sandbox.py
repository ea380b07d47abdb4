"""Vonage Verify for development: its answers and errors, but no message is sent.

It stands at the other end of the SDK's wire, as an adapter of its HTTP session, so everything
above runs as with Vonage. Its state is in the database: shared by processes, kept over a reload.
Source of the answers: Vonage's OpenAPI "Verify API" 1.0.1.
"""

import json
import logging
import re
import secrets
from datetime import timedelta
from http import HTTPStatus
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from requests import Response
from requests.adapters import BaseAdapter

from .models import SandboxRequest

logger = logging.getLogger(__name__)

TRIES = 3
# A request can be cancelled no earlier than this, and only during its first step.
CANCEL_AFTER = timedelta(seconds=30)


class Refused(Exception):
    """An answer of 400 or above. ``extra`` is what its body has beside title and detail."""

    def __init__(self, status: int, detail: str, **extra):
        super().__init__(detail)
        self.status = status
        self.body = {"title": HTTPStatus(status).phrase, "detail": detail, **extra}


class Sandbox(BaseAdapter):
    """Answer the four calls of the Verify API from the table of sandbox requests."""

    routes = [
        ("POST", re.compile(r"/v2/verify"), "start"),
        ("POST", re.compile(r"/v2/verify/([^/]+)"), "check"),
        ("DELETE", re.compile(r"/v2/verify/([^/]+)"), "cancel"),
        ("POST", re.compile(r"/v2/verify/([^/]+)/next_workflow"), "next_step"),
    ]

    def send(self, request, **kwargs):
        with transaction.atomic():
            # Caught inside, so that a refusal does not undo the count of wrong codes.
            try:
                status, body = self.answer(request)
            except Refused as refusal:
                status, body = refusal.status, refusal.body
        response = Response()
        response.status_code = status
        response.request, response.url = request, request.url
        response.headers["Content-Type"] = "application/json"
        response._content = json.dumps(body).encode() if body is not None else b""
        return response

    def close(self):
        """Nothing is held open."""

    def answer(self, request):
        body = json.loads(request.body) if request.body else None
        for method, pattern, name in self.routes:
            found = pattern.fullmatch(request.path_url)
            if found and method == request.method:
                return getattr(self, name)(*found.groups(), body)
        raise Refused(404, "There is no such resource.")

    def start(self, body):
        number = judge_start(body)
        now = timezone.now()
        request, is_new = SandboxRequest.objects.select_for_update().get_or_create(
            number=number, defaults={"started_at": now, "step_started_at": now}
        )
        if not is_new and advance(request):
            detail = "Concurrent verifications to the same number are not allowed."
            raise Refused(409, detail, request_id=str(request.id))
        if not is_new:
            request.delete()
            return self.start(body)
        request.channels = [step["channel"] for step in body["workflow"]]
        request.channel_timeout = body.get("channel_timeout", 180)
        request.code_length = body.get("code_length", 4)
        send_code(request)
        return 202, {"request_id": str(request.id)}

    def check(self, request_id, body):
        request = find(request_id)
        if body["code"] == request.code:
            request.delete()
            return 200, {"request_id": request_id, "status": "completed"}
        request.wrong_codes += 1
        if request.wrong_codes == TRIES:
            request.delete()
            detail = "An incorrect code has been provided too many times. Workflow terminated."
            raise Refused(410, detail)
        request.save(update_fields=["wrong_codes"])
        raise Refused(400, "The code you provided does not match the expected value.")

    def cancel(self, request_id, body):
        request = find(request_id)
        if request.step > 0 or timezone.now() < request.started_at + CANCEL_AFTER:
            raise not_found(request_id)
        request.delete()
        return 204, None

    def next_step(self, request_id, body):
        request = find(request_id)
        if request.step + 1 == len(request.channels):
            raise Refused(409, "There are no more events left to trigger.")
        take_step(request, timezone.now())
        return 200, None


def judge_start(body) -> str:
    """Return the number that a start is for, or refuse what Vonage would."""
    invalid = []
    if re.search(r"[\\/{}:$]", body["brand"]):
        invalid.append({"name": "brand", "reason": "has a forbidden character"})
    if not 1 <= len(body["workflow"]) <= 3:
        invalid.append({"name": "workflow", "reason": "must have one to three steps"})
    if invalid:
        detail = "The value of one or more parameters is invalid."
        raise Refused(422, detail, invalid_parameters=invalid)
    return body["workflow"][0]["to"]


def not_found(request_id):
    return Refused(404, f"Request {request_id} was not found or it has been verified already.")


def find(request_id) -> SandboxRequest:
    """Lock and return a request in its present step; call it inside a transaction."""
    try:
        request = SandboxRequest.objects.select_for_update().get(pk=UUID(request_id))
    except (ValueError, SandboxRequest.DoesNotExist):
        raise not_found(request_id) from None
    if not advance(request):
        raise not_found(request_id)
    return request


def advance(request) -> bool:
    """Bring a request to the step it is in by now; return whether it is still alive."""
    timeout = timedelta(seconds=request.channel_timeout)
    while request.step_started_at + timeout <= timezone.now():
        if request.step + 1 == len(request.channels):
            return False
        take_step(request, request.step_started_at + timeout)
    return True


def take_step(request, at):
    request.step += 1
    request.step_started_at = at
    send_code(request)


def send_code(request):
    """Make a new code, as Vonage does for each step, and write it where a developer looks."""
    request.code = "".join(secrets.choice("0123456789") for _ in range(request.code_length))
    request.save()
    logger.info(
        "Sandbox, no message was sent. The code for +%s by %s is %s",
        request.number,
        request.channels[request.step],
        request.code,
    )


@transaction.atomic
def code_under_way(request_id) -> str:
    """Return the code that would have been sent last; empty where it is used or too old."""
    try:
        return find(str(request_id)).code
    except Refused:
        return ""
