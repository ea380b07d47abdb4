"""In which language Vonage writes and speaks."""

from django.conf import settings
from django.utils.translation.trans_real import parse_accept_lang_header

# What the SDK lets through, by language; the first of each is for its other countries.
LOCALES = {
    "en": ["en-us", "en-gb"],
    "es": ["es-es", "es-mx", "es-us"],
    "it": ["it-it"],
    "fr": ["fr-fr"],
    "de": ["de-de"],
    "ru": ["ru-ru"],
    "hi": ["hi-in"],
    "pt": ["pt-pt", "pt-br"],
    "id": ["id-id"],
}
DEFAULT = "en-us"


def message_locale(request) -> str:
    """Return Vonage's locale for whoever asks: in the language chosen on the site, or else the
    nearest to the browser's ``Accept-Language``.
    """
    tags = accepted_tags(request)
    chosen = request.COOKIES.get(settings.LANGUAGE_COOKIE_NAME)
    if chosen in dict(settings.LANGUAGES):
        # The browser tells the country where the choice does not.
        tags = [chosen, *(tag for tag in tags if tag.startswith(f"{chosen}-"))]
        exact = [tag for tag in tags if tag in LOCALES.get(language_of(tag), [])]
        # What Vonage does not speak is followed by what else the browser asks for.
        tags = [*(exact or [chosen]), *accepted_tags(request)]
    for tag in tags:
        if locales := LOCALES.get(language_of(tag)):
            return tag if tag in locales else locales[0]
    return DEFAULT


def accepted_tags(request) -> list[str]:
    header = request.headers.get("Accept-Language", "")[:500]
    return [tag for tag, quality in parse_accept_lang_header(header) if quality > 0]


def language_of(tag: str) -> str:
    return tag.partition("-")[0]
