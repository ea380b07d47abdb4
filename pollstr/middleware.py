"""What every answer has: headers that fence the site in, and a page in the site's look."""

from django.conf import settings
from django.http import HttpResponsePermanentRedirect
from django.shortcuts import render
from django.urls import is_valid_path
from django.utils import translation
from django.utils.cache import patch_vary_headers
from django.utils.http import escape_leading_slashes

# What the site never asks a browser for, and no frame or script in its pages may have either.
DEVICES = ["camera", "display-capture", "geolocation", "microphone", "payment", "usb"]
FENCES = {
    "Permissions-Policy": ", ".join(f"{device}=()" for device in DEVICES),
    # No other site may load our pages and files into its own (OWASP ASVS 5.0 3.4).
    "Cross-Origin-Resource-Policy": "same-origin",
}


def fences(get_response):
    """Add the headers that Django has no setting for, unless a view chose its own."""

    def middleware(request):
        response = get_response(request)
        for name, value in FENCES.items():
            response.headers.setdefault(name, value)
        return response

    return middleware


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
        if response.status_code == 404 and settings.DEBUG:
            return render(request, "404.html", status=404)
        return response

    return middleware
