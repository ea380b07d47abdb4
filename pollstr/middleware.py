"""What every answer has: headers that fence the site in, and a page in the site's look.

And what is refused before any view is asked: unknown hosts, and more than a form of ours sends.
"""

import logging
import re

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.core.exceptions import (
    DisallowedHost,
    RequestDataTooBig,
    TooManyFieldsSent,
    TooManyFilesSent,
)
from django.http import HttpResponsePermanentRedirect
from django.shortcuts import render
from django.template.response import TemplateResponse
from django.urls import is_valid_path, resolve
from django.utils import translation
from django.utils.cache import add_never_cache_headers, patch_vary_headers
from django.utils.http import escape_leading_slashes

logger = logging.getLogger(__name__)

HEALTH_CHECKS = {"/healthz", "/readyz"}
PORT = re.compile(r"[1-9][0-9]{0,4}")
HIGHEST_PORT = 65535
# A host name that may stand in the log.
PLAIN_HOST = re.compile(r"[a-z0-9.-]{1,100}(:[0-9]{1,5})?")
TOO_LARGE = (RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent)
# What the site never asks a browser for, and no frame or script in its pages may have either.
DEVICES = ["camera", "display-capture", "geolocation", "microphone", "payment", "usb"]
FENCES = {
    "Permissions-Policy": ", ".join(f"{device}=()" for device in DEVICES),
    # No other site may load our pages and files into its own (OWASP ASVS 5.0 3.4).
    "Cross-Origin-Resource-Policy": "same-origin",
    # As Django's SecurityMiddleware, which what is refused or answered early does not reach.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


def fences(get_response):
    """Add the headers that Django has no setting for, unless a view chose its own."""

    def middleware(request):
        response = get_response(request)
        for name, value in FENCES.items():
            response.headers.setdefault(name, value)
        return response

    return middleware


def health_checks(get_response):
    """Answer these two before the host is looked at, and over plain http.

    A balancer or an orchestrator asks for them by address, from inside.
    """

    def middleware(request):
        if request.path_info not in HEALTH_CHECKS:
            return get_response(request)
        request.resolver_match = match = resolve(request.path_info)
        return match.func(request)

    return middleware


def known_hosts(get_response):
    """Refuse a Host header that names no host of ours, or an impossible port.

    Django does so where the host is first asked for, looks at the name alone and logs an error.
    """

    def middleware(request):
        try:
            host = request.get_host()
        except DisallowedHost:
            log_unknown_host(request)
        else:
            if has_possible_port(host):
                return get_response(request)
            logger.warning("A request with an impossible port in its Host header was refused")
        # The middleware for languages comes later.
        with translation.override(translation.get_language_from_request(request).lower()):
            return render(request, "400.html", status=400)

    return middleware


def log_unknown_host(request):
    asked = request.META.get("HTTP_HOST", "").lower()
    facts = {"host": asked} if PLAIN_HOST.fullmatch(asked) else {}
    logger.warning(
        "A request for a host that ALLOWED_HOSTS does not name was refused",
        extra={"facts": facts},
    )


def has_possible_port(host: str) -> bool:
    _, colon, port = host.rpartition("]")[2].partition(":")
    return not colon or bool(PORT.fullmatch(port) and int(port) <= HIGHEST_PORT)


def unbelieved_proxies(get_response):
    """Log once that a proxy speaks https and is not believed: then each page leads to itself."""
    is_logged = not settings.SECURE_SSL_REDIRECT or settings.TRUSTED_PROXIES

    def middleware(request):
        nonlocal is_logged
        if not is_logged and request.headers.get("X-Forwarded-Proto") == "https":
            is_logged = True
            logger.warning(
                "X-Forwarded-Proto: https came and is not believed, so every page redirects to "
                "itself: set TRUSTED_PROXIES"
            )
        return get_response(request)

    return middleware


def size_limits(get_response):
    """Refuse with 413 what is larger than any form of ours, before a view or the CSRF check.

    The web server has not even kept a body that is too large (gunicorn_worker.py).
    """

    def middleware(request):
        if content_length(request) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            return too_large(request)
        try:
            # Parsed here; who reads it later gets the same.
            _ = request.POST
        except TOO_LARGE:
            return too_large(request)
        return get_response(request)

    def process_exception(request, exception):
        # The fields of an address are counted where a view first reads them.
        return too_large(request) if isinstance(exception, TOO_LARGE) else None

    middleware.process_exception = process_exception
    return middleware


def content_length(request) -> int:
    length = request.META.get("CONTENT_LENGTH") or ""
    return int(length) if length.isascii() and length.isdigit() else 0


def too_large(request):
    logger.warning("A request that is larger than any form of ours was refused")
    return render(request, "413.html", status=413)


def languages(get_response):
    """Speak each visitor's language: the one chosen on the site, or else the browser's.

    As Django's LocaleMiddleware, but only pages speak. What has no words, or names its language in
    its address, caches on the way may keep once for everybody; and what they keep not at all need
    not say that it varies.
    """

    def middleware(request):
        # Django hands on a cookie's capital letters: one language would have many names.
        language = translation.get_language_from_request(request).lower()
        request.LANGUAGE_CODE = language
        translation.activate(language)
        response = get_response(request)
        # What fails before this in the next request is told in the site's own language.
        translation.deactivate()
        headers = response.headers
        if headers.get("Content-Type", "").startswith("text/html"):
            headers.setdefault("Content-Language", language)
            may_be_kept = "no-store" not in headers.get("Cache-Control", "")
            if may_be_kept and "Accept-Language" not in headers.get("Vary", ""):
                patch_vary_headers(response, ["Accept-Language", "Cookie"])
        return response

    return middleware


def private_pages(get_response):
    """Keep every page for someone who is signed in out of caches: its header names them.

    A view that says itself what caches may do is left alone.
    """

    def middleware(request):
        response = get_response(request)
        is_page = response.headers.get("Content-Type", "").startswith("text/html")
        # A page of 500 or 503 may have no database to ask for the session.
        is_open_to_caches = response.status_code < 500 and "Cache-Control" not in response.headers
        if is_page and is_open_to_caches and names_someone(request):
            add_never_cache_headers(response)
        return response

    return middleware


def names_someone(request) -> bool:
    """Whether the page may name who is signed in: only if it was asked who that is."""
    return request.session.accessed and SESSION_KEY in request.session


def lacks_slash(request) -> bool:
    """Whether a form was sent to an address that exists with a slash at its end."""
    is_form = request.method not in {"GET", "HEAD"}
    path = request.path_info
    return is_form and not path.endswith("/") and is_valid_path(f"{path}/")


def error_pages(get_response):
    """Give an empty 405 a page with a sentence and a way on, and a 404 the same page everywhere.

    A form that was sent to an address without its last slash is sent on.

    With DEBUG Django would list the URL patterns instead, to people who try the site.
    """

    def middleware(request):
        response = get_response(request)
        if response.status_code == 404 and lacks_slash(request):
            # 308 keeps method and body, unlike Django's own 301 (with DEBUG it raises an error).
            path = escape_leading_slashes(request.get_full_path(force_append_slash=True))
            return HttpResponsePermanentRedirect(path, preserve_request=True)
        if response.status_code == 405 and not response.content:
            page = render(request, "405.html", status=405)
            page["Allow"] = response["Allow"]
            return page
        # A view's own page stays.
        is_own = isinstance(response, TemplateResponse)
        if response.status_code == 404 and settings.DEBUG and not is_own:
            return render(request, "404.html", status=404)
        return response

    return middleware
