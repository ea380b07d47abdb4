"""Browsers in which somebody signed in before: strangers' wrong passwords do not count there.

Source: OWASP, "Slow Down Online Guessing Attacks with Device Cookies".
"""

from django.conf import settings
from django.core import signing
from django.utils.crypto import get_random_string, salted_hmac

from .models import name_key

COOKIE_NAME = f"{settings.COOKIE_PREFIX}device"
MAX_AGE = 365 * 24 * 3600  # seconds
# Accounts that one browser is remembered for, the latest ones.
MAX_ACCOUNTS = 5
SALT = "pollstr.device"


def account_mark(username: str) -> str:
    """Return what stands for an account in the cookie, which its reader can decode."""
    return salted_hmac(SALT, name_key(username.strip()), algorithm="sha256").hexdigest()[:16]


def read(request) -> tuple[str, list[str]]:
    """Return the id of the browser and the marks of its accounts; a new id and none without."""
    cookie = request.COOKIES.get(COOKIE_NAME, "")
    try:
        device, marks = signing.loads(cookie[:1000], salt=SALT, max_age=MAX_AGE)
    except (signing.BadSignature, ValueError, TypeError):
        return get_random_string(22), []
    return device, marks


def device_for(request, username: str) -> str | None:
    """Return the id of this browser, where the account with that name signed in in it before."""
    device, marks = read(request)
    return device if account_mark(username) in marks else None


def remember(request, response, user):
    """Let the browser know next time that ``user`` signed in in it."""
    device, marks = read(request)
    mark = account_mark(user.get_username())
    marks = [*(other for other in marks if other != mark), mark][-MAX_ACCOUNTS:]
    response.set_cookie(
        COOKIE_NAME,
        signing.dumps([device, marks], salt=SALT),
        max_age=MAX_AGE,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )
