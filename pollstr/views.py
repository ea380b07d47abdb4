"""What belongs to the whole site: its language, what browsers and robots ask for, its health."""

import logging
import time
from urllib.parse import urlsplit

from django.conf import settings
from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, connection
from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.templatetags.static import static
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe
from django.views.i18n import set_language

from two_factor.mixins import is_verified

from .database_errors import reason_of
from .migrated import NotMigrated, demand_migrations
from .models import Account

logger = logging.getLogger(__name__)
# Seconds by which the clocks of this machine and of the database may differ.
MAX_CLOCK_DIFFERENCE = 30
# SQLite has this machine's clock.
TIME_SQL = {"postgresql": "SELECT extract(epoch FROM clock_timestamp())"}
# As in static/pollstr.css.
PAPER = "#f5f2ea"
NOT_MIGRATED = "failing: the database is not migrated. Run python manage.py migrate."


# Without a token, which would make every page its reader's own and keep it from being shared.
@csrf_exempt
@require_POST
def language(request):
    """Keep the language that somebody chose on a page of ours, and lead back there."""
    if not is_of_own_page(request):
        raise PermissionDenied("Only our own pages choose a language.")
    response = set_language(request)
    chosen = response.cookies.get(settings.LANGUAGE_COOKIE_NAME)
    if chosen and request.user.is_authenticated and may_change_account(request):
        account = Account.objects.of(request.user)
        Account.objects.filter(pk=account.pk).update(language=chosen.value)
    return response


def is_of_own_page(request) -> bool:
    """Whether a form was sent by a page of this site, as far as the browser tells."""
    origin = request.headers.get("Origin")
    is_own = origin is None or host_of(origin) == request.get_host()
    return is_own and request.headers.get("Sec-Fetch-Site", "same-origin") == "same-origin"


def host_of(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def may_change_account(request) -> bool:
    """Whether this browser proved the phone, where the account has one."""
    two_factor = getattr(request.user, "two_factor", None)
    return two_factor is None or two_factor.number is None or is_verified(request)


@require_safe
def favicon(request):
    """Show browsers that ask by themselves, as in the admin, where the icon is."""
    return redirect(static("icon.svg"))


@require_safe
def manifest(request):
    """Tell phones what to call the site, and what to draw for it, on the home screen."""
    icons = [
        {"src": static("icon.svg"), "type": "image/svg+xml", "sizes": "any"},
        {"src": static("icon-192.png"), "type": "image/png", "sizes": "192x192"},
        {"src": static("icon-512.png"), "type": "image/png", "sizes": "512x512"},
        {
            "src": static("icon-maskable.png"),
            "type": "image/png",
            "sizes": "512x512",
            "purpose": "maskable",
        },
    ]
    described = {
        "id": "/",
        "name": "Pollstr",
        "short_name": "Pollstr",
        "description": "Polls where one phone number is one vote.",
        "start_url": reverse("polls:list"),
        "scope": "/",
        "display": "minimal-ui",
        "background_color": PAPER,
        "theme_color": PAPER,
        "icons": icons,
    }
    return JsonResponse(described, content_type="application/manifest+json")


@require_safe
def robots(request):
    """Tell search engines what there is to find, and what is nobody's but the visitor's."""
    return render(request, "robots.txt", content_type="text/plain; charset=utf-8")


@require_safe
def healthz(request):
    """Answer as long as the process lives."""
    return HttpResponse("ok", content_type="text/plain")


@require_safe
def readyz(request):
    """Answer 200 when database and cache can serve, else 503 and which cannot."""
    works = {"database": database_works(), "cache": cache_works()}
    failing = [name for name in works if not works[name]]
    if failing:
        return HttpResponse(f"failing: {', '.join(failing)}", "text/plain", 503)
    try:
        demand_migrations()
    except NotMigrated:
        return HttpResponse(NOT_MIGRATED, "text/plain", 503)
    return HttpResponse("ok", content_type="text/plain")


def database_works() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute(TIME_SQL.get(connection.vendor, "SELECT 1"))
            compare_clocks(cursor.fetchone()[0])
    except DatabaseError as error:
        logger.warning("The database did not answer: %s", reason_of(error))
        return False
    return True


def compare_clocks(database_time: float):
    if connection.vendor not in TIME_SQL:
        return
    difference = round(time.time() - float(database_time))
    if abs(difference) > MAX_CLOCK_DIFFERENCE:
        logger.warning(
            "The clock of this machine and the database's differ by seconds: %s", difference
        )


def cache_works() -> bool:
    # Redis itself, and not what stands in for it.
    asked = getattr(cache, "redis", cache)
    # Each cache has exceptions of its own.
    try:
        asked.set("readyz", "ok", 5)
        return asked.get("readyz") == "ok"
    except Exception:
        return False
