"""What a person sees of an answer."""

import html
import re

from django.utils.html import strip_tags

SENTENCES = re.compile(r'<p class="alert[^>]*>(.*?)</p>', re.DOTALL)
FIELD_ERRORS = re.compile(r'<div class="invalid-feedback[^>]*>(.*?)</div>', re.DOTALL)


def page(response) -> str:
    return html.unescape(response.content.decode())


def sentences(response) -> str:
    """Return what the page says in its boxes above the form."""
    return " ".join(strip_tags(found) for found in SENTENCES.findall(page(response)))


def field_errors(response) -> str:
    return " ".join(strip_tags(found) for found in FIELD_ERRORS.findall(page(response)))
