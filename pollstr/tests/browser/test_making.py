"""Making a poll, from the first click to a poll that is closed again."""

import pytest
from playwright.sync_api import expect

from polls.models import Ballot, Poll
from polls.tests.factories import PollFactory

from . import steps
from .conftest import DESKTOP
from .steps import heading, press
from .test_journey import in_browsers, in_every_browser
from .test_keyboard import check_error_at, tab_to

IN_TOKYO = {"viewport": DESKTOP, "timezone_id": "Asia/Tokyo"}


@pytest.fixture
def new_page(page, verified, enter):
    """The page on which ``ada``, who has proven her phone, makes a poll."""
    enter(verified)
    page.goto("/polls/")
    page.get_by_role("link", name="Make a poll").first.click()
    expect(heading(page)).to_have_text("Make a poll")
    return page


def choices(page):
    return page.get_by_role("textbox", name="Choice")


def write(page, question, *texts):
    page.get_by_label("Question").fill(question)
    for number, text in enumerate(texts, start=1):
        page.get_by_label(f"Choice {number}", exact=True).fill(text)


@in_every_browser
def test_a_stranger_makes_a_poll(page, db):
    page.goto("/polls/")
    page.get_by_role("link", name="Make a poll").first.click()
    steps.register(page, "ada")
    steps.ask_for_code(page)
    steps.type_code(page, steps.shown_code(page))
    expect(heading(page)).to_have_text("Make a poll")
    write(page, "Tea or coffee?", "Tea", "Coffee")
    press(page, "Publish")
    expect(page.get_by_role("status")).to_contain_text("Your poll is published and is open.")
    poll = Poll.objects.get()
    assert [choice.text for choice in poll.choices.all()] == ["Tea", "Coffee"]
    assert poll.is_open


@in_every_browser
def test_a_poll_is_drafted_published_and_closed(new_page):
    page = new_page
    write(page, "Tea or coffee?", "Tea", "tea")
    press(page, "Save as draft")
    expect(page.get_by_text("This is the same as choice 1.")).to_be_visible()
    page.get_by_label("Choice 2").fill("Coffee")
    press(page, "Save as draft")
    page.get_by_role("link", name="Edit or publish it").click()
    expect(page.get_by_label("Choice 2")).to_have_value("Coffee")
    press(page, "Publish")
    expect(page.get_by_role("status")).to_contain_text("is published")

    page.get_by_role("link", name="My polls").click()
    page.get_by_role("article").get_by_role("link", name="Close").click()
    press(page, "Close the poll")
    expect(page.get_by_role("status")).to_contain_text("The poll is closed.")
    assert Poll.objects.get().is_closed


@in_every_browser
def test_there_is_room_for_more_choices(new_page, browser_context_args):
    page = new_page
    write(page, "Which one?", "One", "Two", "Three", "Four")
    if browser_context_args["java_script_enabled"]:
        expect(page.get_by_role("button", name="More choices")).to_be_hidden()
    else:
        press(page, "More choices")
    expect(page.get_by_label("Choice 4")).to_have_value("Four")
    page.get_by_label("Choice 5").fill("Five")
    press(page, "Publish")
    expect(page.get_by_role("status")).to_be_visible()
    assert Poll.objects.get().choices.count() == 5


def test_rows_come_by_themselves_and_end_at_50(new_page):
    for number in range(1, 51):
        new_page.get_by_label(f"Choice {number}", exact=True).fill(f"No. {number}")
    expect(choices(new_page)).to_have_count(50)


def test_a_row_that_comes_after_a_fault_has_none(new_page):
    write(new_page, "Which one?", "One", "one", "Two", "two")
    press(new_page, "Publish")
    new_page.get_by_label("Choice 6").fill("Three")
    expect(new_page.get_by_label("Choice 7")).not_to_have_attribute("aria-invalid", "true")
    expect(new_page.get_by_label("Choice 7")).to_have_value("")


def test_enter_leads_to_the_next_choice_and_publishes_nothing(new_page):
    new_page.get_by_label("Choice 1").fill("Tea")
    new_page.keyboard.press("Enter")
    expect(new_page.get_by_label("Choice 2")).to_be_focused()
    new_page.keyboard.type("Coffee")
    new_page.get_by_label("Question").fill("Tea or coffee?")
    new_page.keyboard.press("Enter")
    expect(new_page.get_by_role("status")).to_contain_text("Saved as a draft")
    assert Poll.objects.get().is_draft


@in_browsers(tokyo=IN_TOKYO)
def test_the_time_zone_is_that_of_the_browser_until_it_is_chosen(new_page):
    zone = new_page.get_by_label("Time zone")
    expect(zone).to_have_value("Asia/Tokyo")
    new_page.get_by_text("When it opens and closes").click()
    zone.select_option("Europe/Berlin")
    press(new_page, "Publish")
    expect(zone).to_have_value("Europe/Berlin")


def test_a_fault_in_what_is_folded_opens_it(new_page):
    write(new_page, "Tea or coffee?", "Tea", "Coffee")
    new_page.get_by_text("Voting and results").click()
    new_page.get_by_label("Most answers").fill("3")
    new_page.get_by_text("Voting and results").click()
    press(new_page, "Publish")
    most = new_page.get_by_label("Most answers")
    check_error_at(new_page, most, "There are 2 choices; ask for no more.")


def test_a_poll_needs_no_mouse(new_page):
    keys = new_page.keyboard
    tab_to(new_page, new_page.get_by_label("Question"))
    keys.type("Tea or coffee?")
    keys.press("Tab")
    for text in ["Tea", "Coffee"]:
        keys.press("Tab")
        keys.type(text)
    tab_to(new_page, new_page.get_by_text("Voting and results"))
    keys.press("Enter")
    tab_to(new_page, new_page.get_by_label("Most answers"))
    keys.press("ArrowUp")
    tab_to(new_page, new_page.get_by_role("button", name="Publish"))
    keys.press("Space")
    expect(new_page.get_by_role("status")).to_contain_text("is published")
    assert Poll.objects.get().max_choices == 2


def test_a_typo_is_mended_after_the_first_vote(page, verified, user, enter):
    poll = PollFactory(author=user, question="Shal we meet?")
    Ballot.objects.cast(poll, "+12025550199", [poll.choices.first().pk])
    enter(verified)
    page.goto(f"/polls/{poll.pk}/edit/")
    page.get_by_label("Question").fill("Shall we eat?")
    press(page, "Save")
    expect(page.get_by_text("only a typo may be mended")).to_be_visible()
    page.get_by_label("Question").fill("Shall we meet?")
    press(page, "Save")
    expect(page.get_by_role("status")).to_contain_text("Saved.")
    page.goto(f"/polls/{poll.pk}/integrity/")
    expect(page.get_by_role("main")).to_contain_text("Typo mended: “Shal we meet?”")
