import re
import time
from datetime import timedelta
from threading import Semaphore

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from polls.models import Ballot, Vote
from polls.views import VoteView
from two_factor.history import Event, record
from two_factor.models import SandboxRequest, Verification
from two_factor.sandbox import Sandbox

from . import steps
from .conftest import DESKTOP, PHONE
from .steps import heading, press

# Colours of the stylesheet, as a browser tells them.
ACT, ACT_SOFT, INK_SOFT = "rgb(55, 48, 163)", "rgb(238, 237, 251)", "rgb(90, 88, 108)"
WITH_JS, WITHOUT_JS = {"java_script_enabled": True}, {"java_script_enabled": False}


def in_browsers(**browsers):
    return pytest.mark.parametrize(
        "browser_context_args", browsers.values(), ids=browsers, indirect=True
    )


in_every_browser = in_browsers(
    desktop={"viewport": DESKTOP} | WITH_JS,
    desktop_without_js={"viewport": DESKTOP} | WITHOUT_JS,
    phone={"viewport": PHONE} | WITH_JS,
    phone_without_js={"viewport": PHONE} | WITHOUT_JS,
)
# Both widths and both ways of working, where their combination matters little.
in_two_browsers = in_browsers(
    desktop={"viewport": DESKTOP} | WITH_JS, phone_without_js={"viewport": PHONE} | WITHOUT_JS
)


@pytest.fixture
def ballot_page(page, poll, verified, enter):
    """The page on which ``ada``, who has proven her phone, votes."""
    enter(verified)
    page.goto(poll.get_absolute_url())
    return page


@pytest.fixture
def phone_page(page, signed_in, enter):
    """The page that asks ``ada`` for her number."""
    enter(signed_in)
    page.goto("/2fa/")
    return page


@pytest.fixture
def code_page(phone_page):
    steps.ask_for_code(phone_page)
    return phone_page


def bar(page, choice):
    return page.get_by_role("listitem").filter(has_text=choice)


@in_every_browser
def test_an_answer_picked_by_a_stranger_becomes_a_vote(page, poll, new_context):
    steps.pick(page, "Green")
    steps.register(page, "ada")
    correct_a_wrong_number(page)
    try_a_short_and_a_wrong_code(page)
    steps.type_code(page, steps.shown_code(page))

    expect(page.get_by_label("Green")).to_be_checked()
    press(page, "Vote")
    expect(page.get_by_role("status").first).to_contain_text("Your vote is counted.")
    check_the_receipt(page)
    expect(bar(page, "Green")).to_contain_text("Your vote 1 vote · 100 %")

    page.get_by_role("link", name="Change my vote").click()
    page.get_by_label("Blue").check()
    press(page, "Change my vote")
    expect(page.get_by_role("status").first).to_contain_text("It replaced your earlier one.")
    expect(bar(page, "Blue")).to_contain_text("Your vote 1 vote · 100 %")
    expect(bar(page, "Green")).to_contain_text("0 votes · 0 %")

    prove_the_phone_in_another_browser(new_context().new_page())


def check_the_receipt(page):
    page.get_by_role("status").get_by_role("link").click()
    expect(heading(page)).to_have_text("Counted, unchanged")
    page.go_back()


def correct_a_wrong_number(page):
    steps.ask_for_code(page, "202 555 0199")
    expect(page.get_by_role("main")).to_contain_text("+1 202-555-0199")
    press(page, "Wrong number?")
    expect(page.get_by_label("Phone number")).to_have_value("+12025550199")
    steps.ask_for_code(page)
    expect(page.get_by_role("main")).to_contain_text("+1 202-555-0123")


def try_a_short_and_a_wrong_code(page):
    steps.type_code(page, "123")
    expect(page.get_by_text("The code has 6 digits; you typed 3.")).to_be_visible()
    expect(page.get_by_label("Code")).to_have_value("123")
    steps.type_code(page, steps.wrong_code(page))
    expect(page.get_by_text("That is not the code we sent last.")).to_be_visible()


def prove_the_phone_in_another_browser(page):
    steps.pick(page, "Red")
    steps.sign_in(page, "ada")
    expect(page.get_by_role("main")).to_contain_text("Your number is •••• ••23.")
    expect(page.get_by_label("Phone number")).to_have_count(0)
    press(page, "Send me a code")
    steps.type_code(page, steps.shown_code(page))
    expect(page.get_by_label("Red")).to_be_checked()


def test_a_wrong_code_is_typed_over(code_page):
    steps.type_code(code_page, steps.wrong_code(code_page))
    expect(code_page.get_by_label("Code")).to_be_focused()
    code_page.keyboard.type(steps.shown_code(code_page))
    code_page.keyboard.press("Enter")
    expect(code_page.get_by_role("status")).to_contain_text("Your phone is verified")


@in_two_browsers
def test_a_call_replaces_the_message(code_page):
    code_of_message = steps.shown_code(code_page)
    press(code_page, "Call me instead")
    expect(code_page.get_by_role("main")).to_contain_text(
        "A call reads 6 digits to +1 202-555-0123."
    )
    assert steps.shown_code(code_page) != code_of_message

    steps.type_code(code_page, steps.shown_code(code_page))
    expect(code_page.get_by_role("status")).to_contain_text(
        "Your phone is verified in this browser."
    )


@in_two_browsers
def test_a_code_sent_again_is_another_one(code_page):
    # Vonage, and so the sandbox, cancels no request younger than 30 seconds.
    SandboxRequest.objects.update(started_at="2026-01-01T00:00Z")
    first_code = steps.shown_code(code_page)
    press(code_page, "Send a new code")
    expect(code_page.get_by_role("status").first).to_contain_text("A new code is on its way.")
    assert steps.shown_code(code_page) != first_code


@in_two_browsers
def test_the_third_wrong_code_leads_back_to_the_phone_page(code_page):
    for _ in range(3):
        steps.type_code(code_page, steps.wrong_code(code_page))
    expect(heading(code_page)).to_have_text("Prove your phone")
    expect(code_page.get_by_role("alert")).to_have_text(
        "Too many wrong attempts. This code no longer works. Ask for a new one."
    )


@in_two_browsers
def test_the_way_back_after_voting_leads_to_a_ballot_that_works(ballot_page, poll):
    ballot_page.get_by_label("Red").check()
    press(ballot_page, "Vote")
    expect(heading(ballot_page)).to_have_text(poll.question)
    ballot_page.go_back()
    ballot_page.get_by_label("Blue").check()
    ballot_page.get_by_role("button", name="vote").click()
    expect(bar(ballot_page, "Blue")).to_contain_text("Your vote 1 vote")
    assert Ballot.objects.count() == 1


@in_two_browsers
def test_every_page_on_the_way_may_be_loaded_again(page, poll, user):
    def reload(text):
        # First what the click before leads to: a page on its way cannot be loaded again.
        expect(page.get_by_role("main")).to_contain_text(text)
        page.reload()
        expect(page.get_by_role("main")).to_contain_text(text)

    steps.pick(page, "Green")
    reload("Sign in")
    steps.sign_in(page, "ada")
    reload("Prove your phone")
    steps.type_number(page, "12")
    reload("That is not a phone number.")
    steps.ask_for_code(page)
    reload("Type the code")
    steps.type_code(page, "12")
    reload("The code has 6 digits; you typed 2.")
    steps.type_code(page, steps.shown_code(page))
    reload("This is what you picked before you signed in.")
    press(page, "Vote")
    reload("Your vote")
    assert Ballot.objects.count() == 1


@pytest.fixture
def slow(monkeypatch):
    """Make a method take so long that the second of two clicks meets the first under way.

    Returns a semaphore that counts the calls that ended: the server must not outlive the test.
    """

    def slow(owner, name):
        method, ended = getattr(owner, name), Semaphore(0)

        def slowed(*args, **kwargs):
            time.sleep(0.4)
            try:
                return method(*args, **kwargs)
            finally:
                ended.release()

        monkeypatch.setattr(owner, name, slowed)
        return ended

    return slow


def double_click(page, button):
    """Click twice, a tenth of a second apart; return the list of forms sent."""
    posts = []
    page.on("request", lambda request: request.method == "POST" and posts.append(request))
    page.get_by_role("button", name=button, exact=True).dblclick(delay=50)
    return posts


@in_every_browser
def test_a_double_click_sends_one_code(phone_page, browser_context_args, slow):
    ended = slow(Sandbox, "send")
    phone_page.get_by_label("Phone number").fill(steps.NUMBER)
    posts = double_click(phone_page, "Send me a code")
    expect(heading(phone_page)).to_have_text("Type the code")
    assert ended.acquire(timeout=15)
    assert SandboxRequest.objects.count() == 1
    assert len(posts) == (1 if browser_context_args["java_script_enabled"] else 2)


@in_every_browser
def test_a_double_click_casts_one_ballot(ballot_page, browser_context_args, slow):
    ended = slow(VoteView, "cast")
    ballot_page.get_by_label("Red").check()
    posts = double_click(ballot_page, "Vote")
    expect(bar(ballot_page, "Red")).to_contain_text("Your vote 1 vote")
    assert all(ended.acquire(timeout=15) for _ in posts)
    assert Vote.objects.count() == 1
    assert len(posts) == (1 if browser_context_args["java_script_enabled"] else 2)


def test_a_button_counts_down_until_a_code_may_be_sent_again(code_page, user):
    user.two_factor.row().update(next_send_at=timezone.now() + timedelta(minutes=1))
    code_page.reload()
    again = code_page.get_by_role("button", name=re.compile(r"^Send a new code \(\d+ s\)$"))
    expect(again).to_be_disabled()


def test_a_button_that_waits_does_not_look_ready(code_page, user):
    press(code_page, "Wrong number?")
    button = code_page.get_by_role("button", name="Send me a code")
    expect(button).to_have_css("background-color", ACT)
    user.two_factor.row().update(next_send_at=timezone.now() + timedelta(minutes=1))
    code_page.reload()
    expect(button).to_be_disabled()
    expect(button).to_have_css("background-color", INK_SOFT)


def test_notices_keep_to_our_colours(code_page):
    expect(code_page.get_by_text("Sandbox: no message")).to_have_css("background-color", ACT_SOFT)
    steps.type_code(code_page, steps.shown_code(code_page))
    notice = code_page.get_by_role("status")
    expect(notice).to_contain_text("Your phone is verified")
    expect(notice).to_have_css("background-color", ACT_SOFT)


@in_browsers(phone={"viewport": PHONE})
def test_on_a_phone_a_moment_takes_two_lines_at_most(code_page, user):
    record(Event.Kind.VOID, user, verification=Verification.objects.get())
    code_page.goto("/account/")
    moment = code_page.get_by_role("cell").first
    assert moment.evaluate(LINES) <= 2


@in_browsers(phone={"viewport": PHONE})
def test_on_a_phone_buttons_stand_flush(code_page):
    widths = [
        code_page.get_by_role("button", name=name).bounding_box()["width"]
        for name in ["Verify", "Call me instead", "Send a new code"]
    ]
    assert len(set(widths)) == 1


# On how many lines an element's text stands.
LINES = """
    (element) => {
        const text = document.createRange();
        text.selectNodeContents(element);
        return text.getClientRects().length;
    }
"""
