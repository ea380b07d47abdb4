"""The choice of a language, and results that move in each."""

import pytest
from django.core.cache import cache
from playwright.sync_api import expect

from polls import results, watching
from polls.models import Ballot
from polls.tests.factories import PollFactory
from two_factor.history import Event

from .conftest import SMALLEST
from .test_watching import STATE


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    cache.clear()
    monkeypatch.setattr(results, "ASK_EVERY", 0.1)
    monkeypatch.setattr(watching, "ANEW", 0)


@pytest.mark.parametrize("scripts", [True, False])
def test_a_language_is_chosen_in_the_footer_and_stays(new_context, db, scripts):
    page = new_context(java_script_enabled=scripts).new_page()
    page.goto("/polls/?show=closed")
    page.get_by_role("button", name="العربية").click()
    assert page.url.endswith("/polls/?show=closed")
    html = page.locator("html")
    expect(html).to_have_attribute("lang", "ar")
    expect(html).to_have_attribute("dir", "rtl")
    page.goto("/login/")
    expect(html).to_have_attribute("lang", "ar")
    expect(page.locator(".languages [aria-current]")).to_have_text("العربية")


@pytest.mark.parametrize("locale", ["en-US", "de-DE", "fr-FR", "es-ES", "pt-BR", "ar-EG"])
def test_results_that_moved_read_like_those_of_the_page(new_context, db, locale):
    poll = PollFactory(choices=["Чай", "شاي"], results_for="everyone")
    for n in range(3):
        Ballot.objects.cast(poll, f"+1202555000{n}", [poll.choices.first().pk])
    page = new_context(locale=locale).new_page()
    page.goto(poll.url("results"))
    for n in range(3, 7):
        Ballot.objects.cast(poll, f"+1202555000{n}", [poll.choices.last().pk])
    expect(page.locator(".bar-number").nth(1)).to_contain_text("57")
    moved = page.evaluate(STATE)
    page.reload()
    assert page.evaluate(STATE) == moved


def test_right_to_left_nothing_scrolls_sideways(new_context, db):
    poll = PollFactory(choices=["Чай", "شاي"], results_for="everyone")
    page = new_context(locale="ar-EG").new_page()
    page.set_viewport_size({"width": 390, "height": 800})
    for url in ["/polls/", "/login/", poll.url("results")]:
        page.goto(url)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


# Words that stand on two lines, and do not say themselves where they may be parted.
BROKEN_WORDS = r"""
    () => {
        const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
        const broken = [], range = document.createRange();
        while (walker.nextNode()) {
            const text = walker.currentNode, parent = text.parentElement;
            if (!parent.checkVisibility() || parent.closest("code, select")) continue;
            for (const { 0: word, index } of text.data.matchAll(/[\p{L}\p{M}\u00ad]+/gu)) {
                if (word.includes("\u00ad")) continue;
                range.setStart(text, index);
                range.setEnd(text, index + word.length);
                const lines = [...range.getClientRects()].filter(({ width }) => width);
                if (new Set(lines.map(({ top }) => Math.round(top))).size > 1) broken.push(word);
            }
        }
        return broken;
    }
"""


@pytest.mark.parametrize("locale", ["en-US", "de-DE", "fr-FR", "es-ES", "pt-BR", "ar-EG"])
def test_no_word_breaks_on_the_smallest_screen(new_context, verified, user, base_url, locale):
    session = verified.cookies["sessionid"].value
    for kind in ["started", "failed", "verified"]:
        Event.objects.create(kind=kind, user=user, number="•••• ••23")
    context = new_context(locale=locale)
    page = context.new_page()
    page.set_viewport_size(SMALLEST)
    page.goto("/login/?next=/polls/1/%3Fchoice%3D1")
    assert not page.evaluate(BROKEN_WORDS)
    context.add_cookies([{"name": "sessionid", "value": session, "url": base_url}])
    for url in [
        "/account/",
        "/2fa/recovery-codes/",
        "/2fa/recover/",
        "/polls/mine/",
        "/polls/new/",
    ]:
        page.goto(url)
        assert not page.evaluate(BROKEN_WORDS), url
