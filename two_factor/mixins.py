"""The gate: who may pass, and where everybody else is sent."""

from datetime import datetime, timedelta
from urllib.parse import unquote, urlencode, urlsplit

from django.conf import settings
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.views import redirect_to_login
from django.shortcuts import redirect, resolve_url
from django.urls import Resolver404, resolve, reverse
from django.utils import timezone
from django.utils.cache import add_never_cache_headers
from django.utils.crypto import salted_hmac
from django.utils.http import url_has_allowed_host_and_scheme

# The session's key for the flag: whose phone this browser proved, and when.
VERIFIED = "verified"
# The session's key for staff without a number, and for how long it counts.
LET_IN = "let_in"
LET_IN_SECONDS = 3600
# The flag notes its last use after this part of the idle time, not with each request: that would
# be a write each time. So the flag ends at most this much earlier than the setting says.
SEEN_EVERY = 1 / 60
# Pages that a person passes on the way, and is never sent to in the end.
STEPS = {
    "login",
    "logout",
    "register",
    "admin:login",
    "admin:logout",
    "two_factor:phone",
    "two_factor:verify",
    "two_factor:recover",
    "two_factor:delivery",
    "two_factor:webhook",
    "language",
}
LONGEST_NEXT = 2000  # characters


def set_verified(request, two_factor):
    now = timezone.now().isoformat()
    request.session[VERIFIED] = {
        "user": two_factor.user_id,
        "generation": str(two_factor.generation),
        "number": mark_of(two_factor.number),
        "at": now,
        "seen": now,
    }


def mark_of(number) -> str:
    """Return what tells a number from others, and does not tell the number."""
    return salted_hmac("two_factor.flag", str(number), algorithm="sha256").hexdigest()[:16]


def is_verified(request, max_age: int | None = None) -> bool:
    """Whether this browser has proven the signed-in user's phone, at most ``max_age`` seconds ago.

    The flag counts for the user and the number it was set for, for VERIFIED_SECONDS, and while
    it is used at least every VERIFIED_IDLE_SECONDS (NIST 800-63B-4 §2.2.3).
    """
    flag = request.session.get(VERIFIED)
    if not flag or not request.user.is_authenticated:
        return False
    try:
        counts = is_bound_to(flag, request.user) and is_fresh(flag, max_age)
    except (KeyError, TypeError, ValueError):
        # Set by another release: whatever it meant, it is no proof.
        return False
    if counts:
        note_use(request.session)
    return counts


def is_bound_to(flag, user) -> bool:
    two_factor = getattr(user, "two_factor", None)
    if two_factor is None or two_factor.number is None:
        return False
    if flag["user"] != user.pk or flag["generation"] != str(two_factor.generation):
        return False
    # A number that was changed in the row by other means was verified by no one. Flags set by the
    # release before have no mark; they end within VERIFIED_SECONDS.
    return flag.get("number", "") in {"", mark_of(two_factor.number)}


def is_fresh(flag, max_age: int | None) -> bool:
    longest = settings.VERIFIED_SECONDS
    if max_age is not None:
        longest = min(max_age, longest)
    age, unused = time_since(flag["at"]), time_since(flag["seen"])
    # Used far in the future was it by a clock that ran ahead; otherwise it would last for ever.
    idle = timedelta(seconds=settings.VERIFIED_IDLE_SECONDS)
    return age < timedelta(seconds=longest) and abs(unused) < idle


def note_use(session):
    flag = session[VERIFIED]
    if time_since(flag["seen"]) >= SEEN_EVERY * timedelta(seconds=settings.VERIFIED_IDLE_SECONDS):
        session[VERIFIED] = flag | {"seen": timezone.now().isoformat()}


def time_since(moment: str) -> timedelta:
    return timezone.now() - datetime.fromisoformat(moment)


def set_let_in(request, two_factor):
    """Let staff without a verified number into the administration, for LET_IN_SECONDS."""
    request.session[LET_IN] = {
        "user": two_factor.user_id,
        "generation": str(two_factor.generation),
        "at": timezone.now().isoformat(),
    }


def is_let_in(request) -> bool:
    """Whether a recovery code let this member of the staff in, who has no verified number.

    It opens the administration alone: without a number there is no vote and no poll of one's own.
    """
    flag, user = request.session.get(LET_IN), request.user
    two_factor = getattr(user, "two_factor", None)
    if not flag or not user.is_staff or two_factor is None:
        return False
    is_own = flag["user"] == user.pk and flag["generation"] == str(two_factor.generation)
    return is_own and abs(time_since(flag["at"])) < timedelta(seconds=LET_IN_SECONDS)


def next_url(request) -> str:
    """Return where the request asks to go afterwards, if a browser may be sent there.

    That is a page of this site that opens with GET and is no step of signing in or out.
    Everything else becomes the list of polls.
    """
    asked = request.POST.get(REDIRECT_FIELD_NAME) or request.GET.get(REDIRECT_FIELD_NAME) or ""
    return asked if is_safe_next(request, asked) else resolve_url(settings.LOGIN_REDIRECT_URL)


def is_safe_next(request, url: str) -> bool:
    if len(url) > LONGEST_NEXT or not url.isprintable():
        return False
    if not url_has_allowed_host_and_scheme(url, request.get_host(), request.is_secure()):
        return False
    try:
        # Decoded as the server will decode it, so that no step hides behind a %.
        match = resolve(unquote(urlsplit(url).path))
    except Resolver404:
        return False
    view = getattr(match.func, "view_class", None)
    opens_with_get = view is None or ("get" in view.http_method_names and hasattr(view, "get"))
    return opens_with_get and match.view_name not in STEPS


def with_next(url_name: str, next_url: str) -> str:
    return f"{reverse(url_name)}?{urlencode({REDIRECT_FIELD_NAME: next_url})}"


def redirect_to_two_factor(request, next_url: str):
    """Ask for a proof, and forget one that was not fresh enough: ``/2fa/`` would send it back."""
    request.session.pop(VERIFIED, None)
    return redirect(with_next("two_factor:phone", next_url))


class SignedInMixin:
    """Send whoever is not signed in to the login page, and keep pages out of caches.

    Before any of that a method that the page does not take is answered with 405.
    """

    def dispatch(self, request, *args, **kwargs):
        method = request.method.lower()
        if method not in self.http_method_names or not hasattr(self, method):
            return self.http_method_not_allowed(request, *args, **kwargs)
        response = self.refuse() or super().dispatch(request, *args, **kwargs)
        add_never_cache_headers(response)
        return response

    def refuse(self):
        """Return the answer for those who may not pass, None for those who may."""
        if not self.request.user.is_authenticated:
            return redirect_to_login(self.get_return_url())
        return None

    def get_return_url(self) -> str:
        """Return the page to come back to: one that opens with GET, so a POST names its form."""
        if self.request.method not in {"GET", "HEAD"}:
            return next_url(self.request)
        # Encoded once more for each hop, a longer one would not fit into a request.
        full_path = self.request.get_full_path()
        return full_path if len(full_path) <= LONGEST_NEXT else self.request.path


class TwoFactorMixin(SignedInMixin):
    """Send whoever has not proven a phone in this browser to ``/2fa/``, before anything happens.

    ``max_age`` asks for a proof no older than so many seconds.
    """

    max_age: int | None = None

    def refuse(self):
        refusal = super().refuse()
        if refusal is None and not is_verified(self.request, self.max_age):
            return redirect_to_two_factor(self.request, self.get_return_url())
        return refusal
