"""In which language Vonage writes and speaks."""

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


def message_locale(accept_language: str) -> str:
    """Return the nearest of Vonage's locales to a browser's ``Accept-Language``."""
    for tag, quality in parse_accept_lang_header(accept_language[:500]):
        locales = LOCALES.get(tag.partition("-")[0])
        if locales and quality > 0:
            return tag if tag in locales else locales[0]
    return DEFAULT
