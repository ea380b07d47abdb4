"""Addresses in a description are links, and nothing in it is HTML."""

import re
from html import unescape
from html.parser import HTMLParser

import pytest
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from polls.links import linked

from .factories import PollFactory

REL = 'rel="nofollow ugc noopener" dir="ltr"'


@pytest.mark.parametrize(
    ("text", "address", "shown"),
    [
        ("See https://example.com/plan.", "https://example.com/plan", "https://example.com/plan"),
        ("(http://example.org)", "http://example.org", "http://example.org"),
        ("HTTPS://Example.com/A", "https://Example.com/A", "HTTPS://Example.com/A"),
        (
            "https://example.com/?a=1&b=<2>",
            "https://example.com/?a=1&amp;b=",
            "https://example.com/?a=1&amp;b=",
        ),
        (
            "http://bücher.example/ä",
            # The browser makes xn--bcher-kva of it, by the rules of its own day.
            "http://b%C3%BCcher.example/%C3%A4",
            "http://bücher.example/ä",
        ),
        ("http://xn--bcher-kva.example/", "http://xn--bcher-kva.example/", None),
        ("https://de.wikipedia.org/wiki/A_(B)", "https://de.wikipedia.org/wiki/A_(B)", None),
    ],
)
def test_a_web_address_is_a_link(text, address, shown):
    html = linked(text)
    assert f'<a href="{address}" {REL}>{shown or address}</a>' in html
    assert html.count("<a ") == 1


@pytest.mark.parametrize(
    "text",
    [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(document.cookie)//http://x",
        "data:text/html,<script>alert(1)</script>",
        "vbscript:msgbox(1)",
        "ftp://example.com/",
        "file:///etc/passwd",
        "//example.com/",
        "www.example.com",
        "example.com",
        "me@example.com",
        "mailto:me@example.com",
        "https://bank.example@evil.example/",
        "https://bank.example:pass@evil.example/",
        "https://",
        "https:///x",
        "http://[",
        "http://[::1",
        "https://example.com:99999999/",
        "java\tscript:alert(1)",
        "https://example.com/\u202efdp.exe",
        "https://exam\u200bple.com/",
        "&#106;avascript:alert(1)",
    ],
)
def test_nothing_else_is_a_link(text):
    html = linked(text)
    assert "<" not in html
    assert unescape(html) == text


@pytest.mark.parametrize(
    "text",
    [
        'https://example.com/"onmouseover="alert(1)',
        "https://example.com/'><script>alert(1)</script>",
        "https://example.com/&quot;onmouseover=&quot;alert(1)",
        "https://example.com/<img src=x onerror=alert(1)>",
        "<a href='https://example.com/'>x</a>",
        "https://example.com/&lt;script&gt;alert(1)&lt;/script&gt;",
    ],
)
def test_markup_stays_text(text):
    elements = elements_of(linked(text))
    assert {name for name, _ in elements} <= {"a"}
    for _, attributes in elements:
        assert attributes.keys() == {"href", "rel", "dir"}
        assert attributes["href"].startswith("https://example.com/")


def elements_of(html):
    elements = []

    class Elements(HTMLParser):
        def handle_starttag(self, tag, attrs):
            elements.append((tag, dict(attrs)))

    Elements().feed(html)
    return elements


pieces = st.sampled_from(
    [
        *["https://", "http://", "javascript:", "a.example", "<b>", "&lt;", "&quot;", "80", "%0a"],
        *"/?&#\"'() \n;.@:ü\u202e\u200b[]",
    ]
)


@given(st.lists(pieces, max_size=15).map("".join))
def test_whatever_is_written_is_shown_and_no_more(text):
    html = linked(text)
    assert unescape(re.sub("<a [^>]*>|</a>", "", html)) == text
    for name, attributes in elements_of(html):
        assert name == "a"
        assert attributes.keys() == {"href", "rel", "dir"}
        assert attributes["href"].lower().startswith(("http://", "https://"))


@pytest.mark.django_db
def test_the_description_of_a_poll_has_its_links(client):
    poll = PollFactory(description="Read https://example.com/plan\n\n<b>and</b> <script>x</script>")
    text = client.get(reverse("share", args=[poll.slug])).text
    assert (
        f'<p>Read <a href="https://example.com/plan" {REL}>https://example.com/plan</a></p>' in text
    )
    assert "<p>&lt;b&gt;and&lt;/b&gt; &lt;script&gt;" in text
