"""What names its language in its address, so that caches may keep one copy for all."""

from urllib.parse import urlencode

from django.conf import settings
from django.utils.translation import get_language


def asked_language(request) -> str:
    """Return the language that the address asks for; the site's own where it asks for none."""
    asked = request.GET.get("language")
    return asked if asked in dict(settings.LANGUAGES) else settings.LANGUAGE_CODE


def in_language(url: str) -> str:
    """Return ``url`` as the address of what is told in the language spoken now."""
    language = get_language()
    if language in {None, settings.LANGUAGE_CODE}:
        return url
    return f"{url}{'&' if '?' in url else '?'}{urlencode({'language': language})}"
