"""Addresses in what strangers write, as links."""

import re
from urllib.parse import urlsplit

from django.utils.html import Urlizer
from django.utils.safestring import mark_safe


class WebLinks(Urlizer):
    """Link addresses that begin with http:// or https://, and nothing else.

    Search engines and the page that opens are told that a visitor of this site wrote them. The text
    of a link is its address as it was typed, escaped.
    """

    # Neither bare names, which are often none, nor email addresses, which robots collect.
    simple_url_2_re = re.compile("(?!)")
    url_template = '<a href="{href}" rel="nofollow ugc noopener" dir="ltr"{attrs}>{url}</a>'

    @staticmethod
    def is_email_simple(value):
        return False

    def trim_punctuation(self, word):
        lead, middle, trail = super().trim_punctuation(word)
        return (lead, middle, trail) if is_plain(middle) else ("", "", word)


def is_plain(address: str) -> bool:
    """Return whether an address leads where it seems to.

    A user's name could look like its host, and marks of direction show it in another order.
    """
    try:
        parts = urlsplit(address)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return has_host and parts.username is None and address.isprintable()


web_links = WebLinks()


def linked(text: str) -> str:
    """Return ``text`` as HTML, escaped, with its web addresses as links."""
    return mark_safe(web_links(text, autoescape=True))  # noqa: S308
