"""Making a poll, from the first click to a poll that is closed again."""

import pytest
from playwright.sync_api import expect

from polls.models import Ballot, Poll
from polls.tests.factories import PollFactory
from pollstr.sessions import SessionStore

from . import steps
from .conftest import DESKTOP
from .steps import heading, press
from .test_journey import in_browsers, in_every_browser
from .test_keyboard import check_error_at, described_by, tab_to

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


def test_enter_leads_to_the_next_field_and_saves_nothing(new_page):
    new_page.get_by_label("Choice 1").fill("Tea")
    new_page.keyboard.press("Enter")
    expect(new_page.get_by_label("Choice 2")).to_be_focused()
    new_page.keyboard.type("Coffee")
    new_page.get_by_label("Question").fill("Tea or coffee?")
    new_page.keyboard.press("Enter")
    expect(new_page.get_by_label("Description (optional)")).to_be_focused()
    new_page.get_by_label("Most answers").press("Enter")
    expect(heading(new_page)).to_have_text("Make a poll")
    assert not Poll.objects.exists()


@pytest.mark.parametrize("label", ["Question", "Choice 2", "Most answers"])
@in_browsers(no_script={"java_script_enabled": False})
def test_without_a_script_enter_saves_nothing(new_page, label):
    enter_in_a_form_without_script(new_page, label)


@pytest.mark.parametrize("label", ["Question", "Choice 2"])
def test_before_the_script_has_run_enter_saves_nothing(page, verified, enter, label):
    enter(verified)
    page.route(
        "**/choices*.js", lambda route: route.fulfill(body="", content_type="text/javascript")
    )
    page.goto("/polls/new/")
    enter_in_a_form_without_script(page, label)


def enter_in_a_form_without_script(page, label):
    write(page, "Tea or coffee?", "Tea", "Coffee")
    with page.expect_navigation():
        page.get_by_label(label, exact=True).press("Enter")
    expect(page.get_by_label("Question")).to_have_value("Tea or coffee?")
    expect(page.get_by_label("Choice 2")).to_have_value("Coffee")
    expect(page.get_by_label("Choice 3")).to_be_focused()
    expect(heading(page)).to_have_text("Make a poll")
    assert not Poll.objects.exists()


def check_unsent(field, sentence):
    expect(field).to_be_focused()
    expect(field).to_have_attribute("aria-invalid", "true")
    assert sentence in described_by(field)


def test_half_a_date_is_not_sent(new_page):
    write(new_page, "Tea or coffee?", "Tea", "Coffee")
    new_page.get_by_text("When it opens and closes").click()
    closes = new_page.get_by_label("Closes")
    closes.click()
    new_page.keyboard.type("12312126")
    assert closes.evaluate("field => [field.value, field.validity.badInput]") == ["", True]
    new_page.get_by_text("When it opens and closes").click()
    press(new_page, "Publish")
    check_unsent(closes, "This date is not complete.")
    assert not Poll.objects.exists()
    closes.fill("2126-12-31T18:00")
    expect(closes).not_to_have_attribute("aria-invalid", "true")
    press(new_page, "Publish")
    expect(new_page.get_by_role("status")).to_contain_text("is published")
    assert Poll.objects.get().closes_at.year == 2126


@pytest.mark.parametrize("button", ["Publish", "Save as draft"])
def test_half_a_number_is_not_sent(new_page, button):
    write(new_page, "Tea or coffee?", "Tea", "Coffee")
    most = new_page.get_by_label("Most answers")
    most.fill("")
    most.press_sequentially("2e")
    press(new_page, button)
    check_unsent(most, "This is not a number.")
    assert not Poll.objects.exists()
    most.fill("2")
    press(new_page, button)
    expect(new_page.get_by_role("status")).to_be_visible()
    assert Poll.objects.get().max_choices == 2


def paste(field, text):
    """Paste as the browser does; a page gets no access to the real clipboard."""
    field.focus()
    field.evaluate(
        """(field, text) => {
            const data = new DataTransfer();
            data.setData("text/plain", text);
            const options = {clipboardData: data, bubbles: true, cancelable: true};
            if (field.dispatchEvent(new ClipboardEvent("paste", options))) {
                field.setRangeText(text.replaceAll("\\n", " "));
            }
        }""",
        text,
    )


def test_pasted_lines_are_choices(new_page):
    write(new_page, "Which one?", "Zero", "", "Kept")
    paste(new_page.get_by_label("Choice 2"), "One\r\n\n  Two \nThree\nFour\nFive")
    for number, text in enumerate(["Zero", "One", "Kept", "Two", "Three", "Four", "Five"], start=1):
        expect(new_page.get_by_label(f"Choice {number}", exact=True)).to_have_value(text)
    expect(new_page.get_by_label("Choice 8")).to_have_value("")
    press(new_page, "Publish")
    expect(new_page.get_by_role("status")).to_be_visible()
    assert Poll.objects.get().choices.count() == 7


def test_more_lines_than_a_poll_has_choices_are_kept_and_refused(new_page):
    write(new_page, "Which one?", "", "Kept")
    paste(new_page.get_by_label("Choice 1"), "\n".join(f"No. {number}" for number in range(50)))
    expect(choices(new_page)).to_have_count(51)
    press(new_page, "Publish")
    expect(new_page.get_by_text("These are 51 choices; 50 is the most.")).to_be_visible()
    expect(choices(new_page)).to_have_count(51)
    new_page.get_by_label("Choice 51").fill("")
    press(new_page, "Publish")
    expect(new_page.get_by_role("status").first).to_contain_text("Your poll is published")
    assert Poll.objects.get().choices.count() == 50


def test_a_text_of_hundreds_of_lines_is_pasted_as_one(new_page):
    paste(new_page.get_by_label("Choice 1"), "\n".join(map(str, range(300))))
    expect(choices(new_page)).to_have_count(4)
    assert "298 299" in new_page.get_by_label("Choice 1").input_value()
    paste(new_page.get_by_label("Choice 2"), "A word")
    expect(new_page.get_by_label("Choice 2")).to_have_value("A word")


@in_every_browser
def test_a_long_question_is_not_cut(new_page):
    write(new_page, "x" * 252, "Tea", "Coffee")
    press(new_page, "Publish")
    expect(new_page.get_by_label("Question")).to_have_value("x" * 252)
    expect(new_page.get_by_text("it has 252")).to_be_visible()


@in_every_browser
def test_a_form_outlives_the_end_of_the_session(new_page, context, verified, enter):
    page = new_page
    write(page, "An hour of work?", "Tea", "Coffee")
    context.clear_cookies(name="sessionid")
    press(page, "Publish")
    expect(heading(page)).to_have_text("Sign in")
    expect(page.get_by_role("status").first).to_contain_text("What you typed is kept.")
    # Signed in again, in the session that holds what was typed.
    key = next(c["value"] for c in context.cookies() if c["name"] == "sessionid")
    session = SessionStore(key)
    session.update(verified.session.items())
    session.save()
    page.goto("/polls/new/")
    expect(page.get_by_label("Question")).to_have_value("An hour of work?")
    expect(page.get_by_label("Choice 2")).to_have_value("Coffee")
    press(page, "Publish")
    expect(page.get_by_role("status")).to_contain_text("is published")
    assert Poll.objects.get().question == "An hour of work?"


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
    expect(page.get_by_text("you can only fix a typo")).to_be_visible()
    page.get_by_label("Question").fill("Shall we meet?")
    press(page, "Save")
    expect(page.get_by_role("status")).to_contain_text("Saved.")
    page.goto(f"/polls/{poll.pk}/integrity/")
    expect(page.get_by_role("main")).to_contain_text("Typo mended: “Shal we meet?”")
