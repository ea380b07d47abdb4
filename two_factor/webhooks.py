"""What Vonage tells us later: whether a message was delivered, and how a request ended.

Source: Vonage's Verify API 1.0.1, callbacks, and its guide to signed webhooks.
"""

import hashlib
import hmac
import json
import logging
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.http import HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from .history import Event, record
from .models import Channel, Verification, WebhookToken

logger = logging.getLogger(__name__)

# A token is taken this long after it was made, and remembered a little longer.
MOST_AGE = timedelta(minutes=5)
# What Vonage sends has 1 kB; longer or deeper bodies are not even hashed.
MAX_BODY = 16 * 1024  # bytes
MAX_BRACKETS = 64
# How a message or call went. Other words of Vonage's say nothing about that: "expired" is a code
# that nobody typed in time.
OUTCOMES = {"completed": Event.Kind.DELIVERED} | dict.fromkeys(
    ["failed", "rejected", "user_rejected", "blocked"], Event.Kind.UNDELIVERED
)
# What can go wrong in reading JSON whose shape nobody promised.
UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, RecursionError)


class Untrusted(Exception):
    """The webhook does not come from Vonage, was changed on its way, is old, or is a replay."""


class TooLarge(Exception):
    """The body is longer than anything that Vonage sends."""


@csrf_exempt
@require_POST
def webhook(request):
    """Take one event or summary: 204 when done with it, 401 when it cannot be trusted."""
    try:
        with transaction.atomic():
            use_token(check_signature(request))
            take(*read(request.body))
    except Untrusted as error:
        logger.warning("A webhook was refused: %s", error)
        return HttpResponse("This webhook cannot be trusted.", "text/plain", 401)
    except TooLarge as error:
        logger.warning("A webhook was refused: %s", error)
        return HttpResponse("This webhook is too large.", "text/plain", 413)
    except UNREADABLE:
        logger.warning("A signed webhook could not be read")
        return HttpResponse("This webhook cannot be read.", "text/plain", 400)
    return HttpResponse(status=204)


def read_body(request) -> bytes:
    """Return the body, or raise TooLarge before one that is too long is read."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not length.isdecimal() or int(length[:10]) > MAX_BODY or len(request.body) > MAX_BODY:
        raise TooLarge("its body is too long")
    return request.body


def check_signature(request) -> str:
    """Return the id of the token that signs exactly these bytes, or raise Untrusted."""
    import jwt

    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if not settings.VONAGE_SIGNATURE_SECRET or scheme.lower() != "bearer":
        raise Untrusted("it is not signed")
    body = read_body(request)
    try:
        claims = jwt.decode(
            token,
            settings.VONAGE_SIGNATURE_SECRET,
            algorithms=["HS256"],
            leeway=MOST_AGE,
            options={"require": ["iat", "jti", "payload_hash"], "verify_aud": False},
        )
    except jwt.InvalidTokenError as error:
        raise Untrusted(type(error).__name__) from None
    digest = hashlib.sha256(body).hexdigest()
    if not hmac.compare_digest(digest.encode(), str(claims["payload_hash"]).encode()):
        raise Untrusted("its body is not what was signed")
    if abs(int(timezone.now().timestamp()) - int(claims["iat"])) > MOST_AGE.total_seconds():
        raise Untrusted("its token is too old")
    return claims["jti"]


def use_token(jti: str):
    """Note a token as used, or raise Untrusted where it was before."""
    now = timezone.now()
    # Beyond its age a token is refused without being remembered; twice allows for clocks.
    WebhookToken.objects.filter(used_at__lt=now - 3 * MOST_AGE).delete()
    fingerprint = hashlib.sha256(jti.encode()).hexdigest()
    try:
        with transaction.atomic():
            WebhookToken.objects.create(fingerprint=fingerprint, used_at=now)
    except IntegrityError:
        raise Untrusted("its token was used before") from None


def read(body: bytes) -> tuple[UUID, str, str]:
    """Return the request that the news is about, the newest channel used, and how that went.

    An event is about one channel; a summary lists all, those that were not needed as "unused".
    """
    if body.count(b"[") + body.count(b"{") > MAX_BRACKETS:
        raise ValueError("nested deeper than anything that Vonage sends")
    news = json.loads(body)
    request_id, status = UUID(news["request_id"]), news["status"]
    if "workflow" not in news:
        return request_id, news["channel"], status
    used = [step for step in news["workflow"] if step["status"] != "unused"]
    if not used:
        return request_id, news["workflow"][0]["channel"], status
    return request_id, used[-1]["channel"], used[-1]["status"]


def take(request_id: UUID, channel: str, status: str):
    """Note whether a code got through, once however often we are told."""
    if status == "blocked":
        logger.error("Vonage blocks messages to the network of a number; see its dashboard")
    kind = OUTCOMES.get(status)
    verification = Verification.objects.filter(request_id=request_id).first()
    if verification is None or kind is None or channel not in Channel:
        return
    if channel == Channel.SMS and verification.is_call:
        return
    # Vonage goes on to the call by itself; news of it means that it was made.
    verification.channel = channel
    # This locks the row, too: of the same news told twice at once one finds the other's record.
    Verification.objects.filter(pk=verification.pk).update(
        channel=channel, is_undelivered=kind == Event.Kind.UNDELIVERED
    )
    if last_outcome(verification) != kind:
        record(kind, verification.user, verification=verification)


def last_outcome(verification) -> str | None:
    told = Event.objects.filter(
        user_id=verification.user_id,
        channel=verification.channel,
        kind__in=OUTCOMES.values(),
        at__gte=verification.started_at,
    )
    return told.values_list("kind", flat=True).first()
