"""The pages for requests that fail.

Unlike Django's own they never read the body of the request: it may be what failed.
"""

import sys
from urllib.parse import urlsplit

from django.contrib.auth.views import redirect_to_login
from django.contrib.sessions.exceptions import SessionInterrupted
from django.db import InterfaceError, OperationalError
from django.http import HttpResponse
from django.middleware.csrf import REASON_NO_CSRF_COOKIE, REASON_NO_REFERER
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.utils.translation import gettext_lazy as _

from two_factor.mixins import is_safe_next, is_verified, next_url

from .hashers import HashingBusy
from .middleware import TOO_LARGE
from .migrated import is_of_missing_migration
from .models import name_key

# What passes by itself. Forms tell of HashingBusy themselves, but for those of the admin.
PASSING = (OperationalError, InterfaceError, HashingBusy)
# Seconds after which to try again: a database that was restarted is back by then.
BACK_SOON = 10

OTHER_SITE = _(
    "This form came from another site, so we did not act on it. To do this here, open our page "
    "and fill in its form."
)
NO_REFERER = _(
    "Your browser did not say which page this form came from, so we did not act on it. Allow it "
    "to send the referrer to this site, then send the form again."
)
NO_COOKIE = _(
    "Your browser sent no cookie with this form, so we did not act on it. Allow cookies for this "
    "site, then send the form again."
)
OLD_PAGE = _(
    "This form was open while you signed in or out in this browser, so we did not act on it. "
    "Nothing was changed. Please send it again."
)

SIGN_IN_FORMS = {"login", "register"}
CODE_FORMS = {
    f"two_factor:{name}" for name in ["create", "confirm", "call", "resend", "cancel", "recover"]
}


def bad_request(request, exception):
    if isinstance(exception, SessionInterrupted):
        # The second of two clicks: the first signed out, or proved the phone under a new session.
        return redirect_to_login(next_url(request))
    if isinstance(exception, TOO_LARGE):
        return render(request, "413.html", status=413)
    return render(request, "400.html", status=400)


def permission_denied(request, exception):
    return render(request, "403.html", status=403)


def page_not_found(request, exception):
    return render(request, "404.html", status=404)


def server_error(request):
    """Tell a fault of ours from a database that cannot serve yet, which is worth another try."""
    error = sys.exception()
    if is_of_missing_migration(error) or isinstance(error, PASSING):
        page = render_to_string("503.html")
        return HttpResponse(page, status=503, headers={"Retry-After": BACK_SOON})
    return HttpResponse(render_to_string("500.html"), status=500)


def csrf_failure(request, reason=""):
    """Refuse a form without a token that holds; nothing has happened yet.

    A form that another site sent is refused without a look at it. One of our own pages is too old,
    or its browser keeps no cookies: where the work of the form is done already it goes on, and a
    view that can show its form again does so. That is a view class with the method
    ``csrf_failed(self, problem)``, which returns a response of status 403; it is set up with the
    request and its path, and has passed no gate.
    """
    problem = csrf_problem(request, reason)
    if is_foreign(problem):
        return render_csrf_problem(request, problem)
    match = request.resolver_match
    if match and is_done(request, match.view_name):
        return redirect(next_url(request))
    view_class = getattr(match.func, "view_class", None) if match else None
    if hasattr(view_class, "csrf_failed"):
        view = view_class(**match.func.view_initkwargs)
        view.setup(request, *match.args, **match.kwargs)
        return view.csrf_failed(problem)
    return render_csrf_problem(request, problem)


def csrf_problem(request, reason: str) -> str:
    """Return in plain words why the token of a form did not hold."""
    if reason == REASON_NO_REFERER:
        return NO_REFERER
    if reason.startswith(("Origin checking failed", "Referer checking failed")):
        return OTHER_SITE
    if not is_from_here(request):
        return OTHER_SITE
    return NO_COOKIE if reason == REASON_NO_CSRF_COOKIE else OLD_PAGE


def is_foreign(problem) -> bool:
    return problem is OTHER_SITE or problem is NO_REFERER


def is_from_here(request) -> bool:
    """Whether whatever the browser says of the form's page is true of a page of this site.

    Django compares the origin, but not all browsers send one, nor a referrer without https.
    """
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in {"same-origin", "none"}:
        return False
    pages = (request.headers.get(name) for name in ("Origin", "Referer"))
    return all(urlsplit(page).netloc == request.get_host() for page in pages if page)


def is_done(request, view_name: str) -> bool:
    """Whether another tab did meanwhile what the form was for: signing in, or verifying."""
    if view_name in SIGN_IN_FORMS:
        return request.user.is_authenticated and not names_another(request)
    return view_name in CODE_FORMS and is_verified(request)


def names_another(request) -> bool:
    """Whether the form is to sign another person in than the one who is signed in."""
    name = request.POST.get("username", "").strip()
    return name != "" and name_key(name) != name_key(request.user.get_username())


def render_csrf_problem(request, problem):
    asked = request.POST.get("next", "")
    context = {
        "sentence": problem,
        "next": asked if is_safe_next(request, asked) and not is_foreign(problem) else "",
        # The page with the form, where it has an address of its own.
        "form_page": request.path if is_safe_next(request, request.path) else "",
    }
    return render(request, "403_csrf.html", context, status=403)
