"""Everything can be done with a keyboard, and it is always plain where one is."""

import pytest
from playwright.sync_api import expect

from . import steps
from .steps import heading, press

# The outline of what has the focus, or of the answer around it.
OUTLINE = """
    () => {
        const focused = document.activeElement;
        return [focused.closest("label.answer"), focused].some((element) => {
            const style = element && getComputedStyle(element);
            return style && style.outlineStyle === "solid" && parseInt(style.outlineWidth) >= 2;
        });
    }
"""


@pytest.fixture
def keys(page):
    return page.keyboard


def tab_to(page, target):
    """Press Tab until the focus is at ``target``; at every stop it must be seen."""
    for _ in range(20):
        page.keyboard.press("Tab")
        focused = page.evaluate("document.activeElement.outerHTML")
        assert page.evaluate(OUTLINE), f"the focus is not to be seen at {focused}"
        if target.evaluate("element => element === document.activeElement"):
            return
    pytest.fail(f"Tab never came to {target}")


def test_a_vote_needs_no_mouse(page, keys, poll, user):
    page.goto("/polls/")
    tab_to(page, page.get_by_role("link", name="Green"))
    keys.press("Enter")
    # The first field has the focus already.
    expect(page.get_by_label("Username")).to_be_focused()
    keys.type("ada")
    keys.press("Tab")
    keys.type(steps.PASSWORD)
    keys.press("Enter")
    expect(heading(page)).to_have_text("Prove your phone")
    tab_to(page, page.get_by_label("Phone number"))
    keys.type(steps.NUMBER)
    keys.press("Enter")
    expect(page.get_by_label("Code")).to_be_focused()
    keys.type(steps.shown_code(page))
    keys.press("Enter")

    expect(page.get_by_label("Green")).to_be_checked()
    tab_to(page, page.get_by_label("Green"))
    keys.press("ArrowDown")
    expect(page.get_by_label("Blue")).to_be_checked()
    tab_to(page, page.get_by_role("button", name="Vote", exact=True))
    keys.press("Space")
    blue = page.get_by_role("listitem").filter(has_text="Blue")
    expect(blue).to_contain_text("Your vote 1 vote")


def test_the_first_tab_skips_to_the_content(page, keys, poll):
    page.goto("/polls/")
    tab_to(page, page.get_by_role("link", name="Skip to the content"))
    expect(page.locator(":focus")).to_be_in_viewport()
    keys.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
    tab_to(page, page.get_by_role("link", name="Open now"))


def test_a_language_is_chosen_with_the_keyboard(page, keys, poll):
    page.emulate_media(color_scheme="dark")
    page.goto("/polls/?q=green")
    tab_to(page, page.get_by_role("link", name="Privacy"))
    tab_to(page, page.get_by_role("button", name="العربية"))
    keys.press("Enter")
    expect(page.locator("html")).to_have_attribute("dir", "rtl")
    assert page.url.endswith("/polls/?q=green")
    # The page begins anew, as a link's does: what comes first is the way past its head.
    skip_link = page.locator(".skip-link")
    tab_to(page, skip_link)
    expect(skip_link).to_be_in_viewport(ratio=1)
    keys.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
    tab_to(page, page.get_by_role("button", name="Deutsch"))
    keys.press("Space")
    expect(page.locator("html")).to_have_attribute("lang", "de")


def test_all_of_the_code_page_can_be_reached(page, signed_in, enter):
    enter(signed_in)
    page.goto("/2fa/")
    steps.ask_for_code(page)
    for name in ["Verify", "Call me instead", "Send a new code", "Wrong number?"]:
        tab_to(page, page.get_by_role("button", name=name))


def test_a_wrong_number_is_explained_at_its_field(page, signed_in, enter):
    enter(signed_in)
    page.goto("/2fa/")
    steps.type_number(page, "nowhere")
    check_error_at(page, page.get_by_label("Phone number"), "That is not a phone number.")
    expect(page.get_by_label("Phone number")).to_have_value("nowhere")


def test_a_wrong_code_is_explained_at_its_field(page, signed_in, enter):
    enter(signed_in)
    page.goto("/2fa/")
    steps.ask_for_code(page)
    steps.type_code(page, steps.wrong_code(page))
    check_error_at(page, page.get_by_label("Code"), "That is not the code we sent last.")


def test_a_taken_name_is_explained_at_its_field(page, user):
    page.goto("/register/")
    page.get_by_label("Username").fill("ada")
    press(page, "Register")
    check_error_at(page, page.get_by_label("Username"), "A user with that username already exists.")


def test_a_ballot_without_an_answer_is_explained_at_its_answers(page, poll, verified, enter):
    enter(verified)
    page.goto(poll.get_absolute_url())
    press(page, "Vote")
    expect(page).to_have_title(f"Error: {poll.question} · Pollstr")
    answers = page.get_by_role("group", name=poll.question)
    expect(answers).to_have_accessible_description("Pick an answer first, then vote.")
    expect(page.get_by_label("Red")).to_be_focused()


def test_a_wrong_password_is_told_before_all_else(page, user):
    page.goto("/login/")
    page.get_by_label("Username").fill("ada")
    page.get_by_label("Password").fill("wrong")
    press(page, "Sign in")
    expect(page).to_have_title("Error: Sign in · Pollstr")
    expect(page.get_by_role("alert")).to_contain_text("Please enter a correct username")


def check_error_at(page, field, sentence):
    title = heading(page).inner_text()
    expect(page).to_have_title(f"Error: {title} · Pollstr")
    expect(field).to_be_focused()
    expect(field).to_have_attribute("aria-invalid", "true")
    assert sentence in described_by(field)


def described_by(field):
    """Return what a screen reader reads out for ``field`` beside its label."""
    return field.evaluate(
        """field => field.getAttribute("aria-describedby").split(" ")
            .map(id => document.getElementById(id).innerText).join(" ")"""
    )
