"""The choice of a language, and results that move in each."""

import pytest
from django.core.cache import cache
from playwright.sync_api import expect

from polls import results, watching
from polls.models import Ballot
from polls.tests.factories import PollFactory

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
