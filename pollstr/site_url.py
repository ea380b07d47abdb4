"""Absolute links: in mails, QR codes, previews and the sitemap.

They never follow the Host header where the site knows its own name: anyone can send another one.
"""

from django.conf import settings


def site_url(request) -> str:
    """Return the base of all absolute links, such as ``https://polls.example.com``.

    Without ``SITE_URL`` that is the request's host, whose name and port the middleware has checked.
    """
    return settings.SITE_URL or f"{request.scheme}://{request.get_host()}"


def absolute_url(request, path: str) -> str:
    """Return the link to ``path``, which begins with a slash, for use outside the site."""
    return site_url(request) + path
