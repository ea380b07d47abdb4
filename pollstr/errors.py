"""The pages for requests that fail.

Unlike Django's own they never read the body of the request: it may be what failed.
"""

import sys

from django.contrib.auth.views import redirect_to_login
from django.contrib.sessions.exceptions import SessionInterrupted
from django.db import InterfaceError, OperationalError
from django.http import HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string

from two_factor.mixins import is_safe_next, next_url

from .hashers import HashingBusy
from .migrated import is_of_missing_migration

# What passes by itself. Forms tell of HashingBusy themselves, but for those of the admin.
PASSING = (OperationalError, InterfaceError, HashingBusy)
# Seconds after which to try again: a database that was restarted is back by then.
BACK_SOON = 10


def bad_request(request, exception):
    if isinstance(exception, SessionInterrupted):
        # The second of two clicks: the first signed out, or proved the phone under a new session.
        return redirect_to_login(next_url(request))
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
    """Refuse a form from a page that is too old, with a way back to where it would have led."""
    asked = request.POST.get("next", "")
    context = {"next": asked if is_safe_next(request, asked) else ""}
    return render(request, "403_csrf.html", context, status=403)
