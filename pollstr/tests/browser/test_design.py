"""What the look tells: light or dark, at work, offline, in motion, on paper."""

from importlib import reload
from io import BytesIO

import pytest
from django.urls import clear_url_caches
from PIL import Image
from playwright.sync_api import expect

from polls.models import Ballot, Poll

from .steps import press

PAPER = "getComputedStyle(document.body).backgroundColor"
ENDLESS_MOTION = """
    document.getAnimations().filter((motion) => motion.effect.getTiming().iterations === Infinity)
        .length
"""
LONGEST_TRANSITION = """
    Math.max(...[...document.querySelectorAll("*")].map(
        (part) => parseFloat(getComputedStyle(part).transitionDuration)))
"""


def lightness(page):
    """Return how light the page's ground is, from 0 to 255."""
    red, green, blue, *_ = page.evaluate(f"{PAPER}.match(/\\d+/g).map(Number)")
    return (red + green + blue) / 3


@pytest.fixture
def ballot(page, poll, verified, enter):
    enter(verified)
    page.goto(poll.get_absolute_url())
    return page


def test_the_page_is_as_light_or_dark_as_its_reader_wishes(page, db):
    page.goto("/polls/")
    assert lightness(page) > 200
    page.emulate_media(color_scheme="dark")
    assert lightness(page) < 60


def test_the_browser_around_it_has_the_same_colour(page, db):
    page.goto("/polls/")
    for scheme in ["light", "dark"]:
        page.emulate_media(color_scheme=scheme)
        around = page.evaluate(
            """() => {
                const tags = [...document.querySelectorAll("meta[name=theme-color]")];
                const tag = tags.find(({media}) => matchMedia(media).matches);
                const swatch = document.body.appendChild(document.createElement("i"));
                swatch.style.color = tag.content;
                return getComputedStyle(swatch).color;
            }"""
        )
        assert around == page.evaluate(PAPER)


def test_on_paper_it_is_black_on_white_even_at_night(page, poll):
    page.emulate_media(color_scheme="dark", media="print")
    page.goto(f"/p/{poll.slug}/print/")
    assert lightness(page) == 255
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"


def test_a_button_shows_that_its_form_is_on_its_way(ballot, poll):
    # An answer that never comes would hold up the test, too.
    ballot.evaluate("document.addEventListener('submit', (event) => event.preventDefault())")
    ballot.get_by_label("Red").check()
    press(ballot, "Vote")
    button = ballot.get_by_role("button", name="Vote")
    expect(button).to_have_attribute("aria-busy", "true")
    assert ballot.evaluate(ENDLESS_MOTION) == 1
    ballot.emulate_media(reduced_motion="reduce")
    assert ballot.evaluate(ENDLESS_MOTION) == 0
    ballot.evaluate("window.dispatchEvent(new PageTransitionEvent('pageshow'))")
    assert button.get_attribute("aria-busy") is None


def test_whoever_wants_no_motion_gets_none(ballot):
    assert ballot.evaluate(LONGEST_TRANSITION) > 0
    ballot.emulate_media(reduced_motion="reduce")
    assert ballot.evaluate(LONGEST_TRANSITION) == 0


def test_whoever_loses_the_connection_is_told_and_loses_nothing(ballot, poll, context, audit):
    notice = ballot.get_by_role("alert").filter(has_text="You are offline.")
    ballot.get_by_label("Red").check()
    expect(notice).to_be_hidden()
    context.set_offline(True)
    expect(notice).to_be_visible()
    press(ballot, "Vote")
    audit("offline")
    expect(ballot.get_by_label("Red")).to_be_checked()
    assert not poll.ballots.exists()

    context.set_offline(False)
    expect(notice).to_be_hidden()
    press(ballot, "Vote")
    expect(ballot).to_have_url(f"{ballot.url.split('/polls/')[0]}{poll.url('results')}")
    assert poll.ballots.count() == 1


@pytest.mark.parametrize("direction", ["ltr", "rtl"])
def test_bars_grow_from_where_reading_begins(page, poll, direction):
    Poll.objects.update(results_for="everyone")
    for n, choice in enumerate(poll.choices.all()[:2]):
        Ballot.objects.cast(poll, f"+1202555012{n}", [choice.pk])
    page.goto(poll.url("results"))
    page.evaluate("(direction) => { document.documentElement.dir = direction }", direction)
    bar = Image.open(BytesIO(page.locator("progress").first.screenshot())).convert("L")
    left, right = (bar.getpixel((x, bar.height // 2)) for x in [10, bar.width - 10])
    assert (left < right) is (direction == "ltr")


@pytest.fixture
def in_development(settings):
    """The addresses that there are with DEBUG."""
    # Imported here, where the tests' own settings hold.
    from pollstr import urls

    for is_on in [True, False]:
        settings.DEBUG = is_on
        reload(urls)
        clear_url_caches()
        if is_on:
            yield


def test_the_style_guide(page, db, in_development, audit):
    page.goto("/styleguide/")
    for fold in page.locator("summary").all():
        fold.click()
    audit("style guide")
