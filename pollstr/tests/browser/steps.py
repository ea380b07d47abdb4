"""What a person does on the way from an answer to a vote."""

from playwright.sync_api import expect

PASSWORD = "correct horse battery"
NUMBER = "(202) 555-0123"


def heading(page):
    return page.get_by_role("heading", level=1)


def press(page, name):
    page.get_by_role("button", name=name, exact=True).click()


def pick(page, answer):
    page.goto("/polls/")
    page.get_by_role("link", name=answer).click()


def sign_in(page, username):
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill(PASSWORD)
    press(page, "Sign in")


def register(page, username):
    page.get_by_role("link", name="Register").last.click()
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password again").fill(PASSWORD)
    press(page, "Register")


def type_number(page, number):
    page.get_by_label("Phone number").fill(number)
    press(page, "Send me a code")


def ask_for_code(page, number=NUMBER):
    type_number(page, number)
    expect(heading(page)).to_have_text("Type the code")


def shown_code(page):
    return page.locator("#sandbox-code").inner_text()


def wrong_code(page):
    return f"{(int(shown_code(page)) + 1) % 10**6:06}"


def type_code(page, code):
    page.get_by_label("Code").fill(code)
    press(page, "Verify")
