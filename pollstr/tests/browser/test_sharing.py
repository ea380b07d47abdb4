"""From a link that somebody sent to a counted vote, and onwards to the next person."""

import pytest
from playwright.sync_api import expect

from polls.models import Ballot
from polls.tests.factories import PollFactory

from . import steps
from .conftest import PHONE
from .steps import heading, press
from .test_journey import WITH_JS, WITHOUT_JS, bar, in_browsers

on_a_phone = in_browsers(
    with_js={"viewport": PHONE} | WITH_JS, without_js={"viewport": PHONE} | WITHOUT_JS
)
# What a phone offers; Chromium on a desktop has no other apps to share with.
WITH_OTHER_APPS = "navigator.share = async (what) => { window.shared = what; };"


def share_page(page, poll):
    page.goto(f"/p/{poll.slug}/")
    return page


@on_a_phone
@pytest.mark.parametrize("is_listed", [True, False])
def test_a_link_on_a_phone_becomes_a_vote(page, db, is_listed):
    poll = PollFactory(question="Which colour?", choices=["Red", "Green"], is_listed=is_listed)
    share_page(page, poll)
    expect(heading(page)).to_have_text("Which colour?")
    page.get_by_label("Green").check()
    press(page, "Vote")
    expect(page.get_by_text("Your answer is kept; you confirm it at the end.")).to_be_visible()
    steps.register(page, "ada")
    steps.ask_for_code(page)
    steps.type_code(page, steps.shown_code(page))
    expect(page.get_by_label("Green")).to_be_checked()
    assert not Ballot.objects.exists()
    press(page, "Vote")
    expect(page.get_by_role("status").first).to_contain_text("Your vote is counted.")
    expect(bar(page, "Green")).to_contain_text("Your vote 1 vote · 100 %")

    share_page(page, poll)
    expect(page.get_by_label("Green")).to_be_checked()
    page.get_by_label("Red").check()
    press(page, "Change my vote")
    expect(bar(page, "Red")).to_contain_text("Your vote 1 vote · 100 %")
    assert Ballot.objects.count() == 1


@on_a_phone
def test_a_poll_is_sent_on_with_a_script_or_without(page, poll, browser_context_args):
    share_page(page, poll)
    link = page.get_by_label("Its link")
    expect(link).to_have_value(page.url)
    expect(link).to_have_attribute("readonly", "")
    has_script = browser_context_args["java_script_enabled"]
    expect(page.get_by_role("button", name="Copy")).to_have_count(1 if has_script else 0)
    expect(page.get_by_role("button", name="Send it with another app")).to_have_count(0)
    for kind, size in [("PNG", 500), ("SVG", 1000)]:
        with page.expect_download() as download:
            page.get_by_role("link", name=kind).click()
        assert download.value.suggested_filename == f"poll-{poll.slug}.{kind.lower()}"
        assert download.value.path().stat().st_size > size


def test_the_link_is_copied(page, context, poll):
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    share_page(page, poll)
    press(page, "Copy")
    page.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == page.url


def test_a_phone_hands_the_link_to_its_other_apps(page, poll):
    page.add_init_script(WITH_OTHER_APPS)
    share_page(page, poll)
    press(page, "Send it with another app")
    assert page.evaluate("window.shared") == {"title": poll.question, "url": page.url}


def test_the_code_is_shown(page, poll):
    share_page(page, poll)
    code = page.get_by_role("img", name="QR code of the link")
    code.scroll_into_view_if_needed()
    assert code.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    expect(code).to_be_visible()


def test_a_sheet_of_paper_holds_the_poll_alone(page, poll):
    share_page(page, poll)
    page.get_by_role("link", name="Sheet to print").click()
    expect(heading(page)).to_have_text(poll.question)
    page.evaluate("window.print = () => { window.printed = true; }")
    press(page, "Print")
    assert page.evaluate("window.printed")
    page.emulate_media(media="print")
    expect(page.get_by_role("img", name="QR code of the link")).to_be_visible()
    expect(page.get_by_text(f"/p/{poll.slug}/")).to_be_visible()
    expect(page.get_by_role("button", name="Print")).to_be_hidden()
    expect(page.get_by_role("link", name="Back to the poll")).to_be_hidden()
    expect(page.get_by_role("navigation")).to_have_count(0)
