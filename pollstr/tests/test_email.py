import re
from urllib.parse import unquote

import pytest
from django.contrib.auth.models import User
from django.contrib.auth.tokens import default_token_generator
from django.test import Client
from django.urls import reverse

from pollstr.accounts import MOST_MAILS, MOST_WRONG_PASSWORDS
from two_factor.tests.factories import UserFactory
from two_factor.tests.pages import field_errors, sentences

pytestmark = pytest.mark.django_db
EMAIL = reverse("account_email")
ACCOUNT = reverse("account")
PASSWORD = "correct horse battery"
OLD, NEW = "ada@example.com", "lovelace@example.com"


@pytest.fixture
def user(user):
    user.email = OLD
    user.save(update_fields=["email"])
    return user


def ask(client, email=NEW, password=PASSWORD):
    return client.post(EMAIL, {"email": email, "password": password})


def link_in(mail) -> str:
    return re.search(r"http://testserver(/account/email/\S+/)", mail.body)[1]


@pytest.fixture
def link(signed_in, user, mailoutbox) -> str:
    """The link that was mailed to the new address."""
    ask(signed_in)
    return link_in(mailoutbox.pop())


def email_of(user):
    user.refresh_from_db()
    return user.email


def assert_void(response):
    assert response.status_code == 200
    assert "This link was used already, is too old, or belongs to another account." in response.text
    assert f'href="{EMAIL}"' in response.text
    assert "Use this address" not in response.text


def test_it_is_linked_from_the_account(signed_in):
    assert f'href="{EMAIL}"' in signed_in.get(ACCOUNT).text


def test_it_shows_the_address_there_is(signed_in):
    response = signed_in.get(EMAIL)
    assert response.status_code == 200
    assert "<title>Change the email address · Pollstr</title>" in response.text
    assert f'value="{OLD}"' in response.text


def test_a_link_goes_to_the_new_address_and_nothing_changes_yet(signed_in, user, mailoutbox):
    response = ask(signed_in)
    assert (response.status_code, response["Location"]) == (302, ACCOUNT)
    assert f"Open the link that we have sent to {NEW} within a day" in sentences(
        signed_in.get(ACCOUNT)
    )
    assert email_of(user) == OLD
    [mail] = mailoutbox
    assert mail.to == [NEW]
    assert mail.subject == "Is this your address for Pollstr?"
    assert "If it was not you, do nothing" in mail.body
    # Nothing that a stranger could choose to write to others.
    assert "ada" not in mail.body.partition("http://")[0]
    assert OLD not in mail.message().as_string()


def test_to_open_the_link_changes_nothing(signed_in, user, link):
    for _ in range(2):
        page = signed_in.get(link)
        assert page.status_code == 200
        assert f"<bdi>{NEW}</bdi>" in page.text
        assert "no-store" in page["Cache-Control"]
    signed_in.head(link)
    assert email_of(user) == OLD


def test_the_button_behind_it_changes_the_address(signed_in, user, link):
    response = signed_in.post(link)
    assert (response.status_code, response["Location"]) == (302, ACCOUNT)
    assert email_of(user) == NEW
    page = signed_in.get(ACCOUNT)
    assert sentences(page).endswith("Your email address is changed.")
    assert f"<dd>{NEW}</dd>" in page.text


def test_another_browser_signs_in_on_the_way(client, user, link):
    login = Client().get(link)["Location"]
    assert unquote(login) == f"/login/?next={link}"
    browser = Client()
    response = browser.post(login, {"username": "ada", "password": PASSWORD, "next": link})
    assert response["Location"] == link
    browser.post(link)
    assert email_of(user) == NEW


def test_who_registered_without_one_gets_one(signed_in, user, mailoutbox):
    User.objects.update(email="")
    ask(signed_in)
    signed_in.post(link_in(mailoutbox.pop()))
    assert email_of(user) == NEW
    assert mailoutbox == []


def test_the_link_works_once(signed_in, user, link):
    signed_in.post(link)
    assert_void(signed_in.get(link))
    assert_void(signed_in.post(link))


def test_the_link_works_for_a_day(signed_in, user, mailoutbox, time_machine):
    time_machine.move_to("2026-06-01T12:00:00Z", tick=False)
    ask(signed_in)
    link = link_in(mailoutbox.pop())
    time_machine.move_to("2026-06-02T11:59:59Z", tick=False)
    assert "Use this address" in signed_in.get(link).text
    time_machine.move_to("2026-06-02T12:00:01Z", tick=False)
    assert_void(signed_in.post(link))
    assert email_of(user) == OLD


@pytest.mark.parametrize("change", [{"email": "other@example.com"}, {"password": "another"}])
def test_the_link_is_void_once_address_or_password_are_others(signed_in, user, link, change):
    for name, value in change.items():
        setattr(user, name, value)
    if "password" in change:
        user.set_password(user.password)
    user.save()
    signed_in.force_login(user)
    assert_void(signed_in.post(link))
    assert email_of(user) != NEW


def test_the_link_is_worth_nothing_to_another_account(link, user, client):
    grace = UserFactory(username="grace")
    # The same address and, as a hash, the same password.
    User.objects.filter(pk=grace.pk).update(email=OLD, password=user.password)
    grace.refresh_from_db()
    client.force_login(grace)
    assert_void(client.post(link))
    assert email_of(grace) == OLD


@pytest.mark.parametrize("token", ["x", "x:y:z", "9" * 3000, "WzEsIngiXQ:1x:x"])
def test_a_made_up_link_is_told(signed_in, user, token):
    for method in [signed_in.get, signed_in.post]:
        assert_void(method(f"{EMAIL}{token}/"))
    assert email_of(user) == OLD


def test_two_clicks_on_the_button_change_it_once(signed_in, user, link, mailoutbox, monkeypatch):
    # The other click comes between the look at the link and the change.
    def quicker(user, token):
        User.objects.update(email="third@example.com")
        return NEW

    monkeypatch.setattr("pollstr.accounts.read_email_token", quicker)
    assert signed_in.post(link).status_code == 200
    assert email_of(user) == "third@example.com"
    assert mailoutbox == []


def test_an_empty_field_takes_it_away(signed_in, user):
    assert ask(signed_in, email="")["Location"] == ACCOUNT
    assert email_of(user) == ""
    assert sentences(signed_in.get(ACCOUNT)) == "Your account has no email address any more."


def test_with_none_an_empty_field_gets_a_sentence(signed_in, user):
    User.objects.update(email="")
    assert "Type an email address." in field_errors(ask(signed_in, email=""))


@pytest.mark.parametrize("email", [NEW, ""])
def test_the_address_there_was_is_told(signed_in, user, mailoutbox, email):
    ask(signed_in, email=email)
    if email:
        signed_in.post(link_in(mailoutbox.pop()))
    [mail] = mailoutbox
    assert mail.to == [OLD]
    assert mail.subject == "Your Pollstr account no longer has this email address"
    words = " ".join(mail.body.split())
    assert "Hello ada," in words
    assert "Mail about your account does not come to this address any more." in words
    assert "change your password at once" in words
    assert "If your password does not work any more, ask whoever runs the site." in words
    # Whoever reads the old mailbox need not be told the new one.
    assert NEW not in mail.message().as_string()


def test_it_says_what_to_do_should_no_link_arrive(signed_in, user, no_mail_server):
    # The answer does not wait for the mail server, so it cannot know.
    assert ask(signed_in).status_code == 302
    words = "If nothing arrives in a few minutes, look in your spam folder, or ask again."
    assert words in sentences(signed_in.get(ACCOUNT))
    assert email_of(user) == OLD


def test_a_mail_server_in_trouble_does_not_undo_it(signed_in, user, link, no_mail_server):
    assert signed_in.post(link).status_code == 302
    assert email_of(user) == NEW


def test_a_link_for_a_new_password_on_its_way_to_the_old_address_is_void(signed_in, user, link):
    token = default_token_generator.make_token(user)
    signed_in.post(link)
    user.refresh_from_db()
    assert not default_token_generator.check_token(user, token)


def test_where_no_mail_is_sent_it_says_so(signed_in, user, settings, mailoutbox):
    settings.SENDS_MAIL = False
    for response in [signed_in.get(EMAIL), ask(signed_in), ask(signed_in, email="")]:
        assert "This site sends no mail yet" in response.text
        assert "<form method" not in response.text.partition("<main")[2].partition("</main>")[0]
    assert email_of(user) == OLD
    assert mailoutbox == []


@pytest.mark.parametrize(
    ("email", "sentence"),
    [
        ("ada", "Enter a valid email address."),
        ("ada@", "Enter a valid email address."),
        ("ada@example.com\r\nBcc: all@example.com", "Enter a valid email address."),
        ("\0@example.com", "Null characters are not allowed."),
        (f"{'a' * 250}@example.com", "at most 254 characters"),
        (OLD, "That is your email address already."),
        ("ada@EXAMPLE.com", "That is your email address already."),
    ],
)
def test_a_bad_address_gets_a_sentence(signed_in, user, mailoutbox, email, sentence):
    response = ask(signed_in, email=email)
    assert response.status_code == 200
    assert "<title>Error: Change the email address · Pollstr</title>" in response.text
    assert sentence in field_errors(response)
    assert email_of(user) == OLD
    assert mailoutbox == []


@pytest.mark.parametrize(
    ("password", "sentence"),
    [
        ("wrong", "That is not your password."),
        ("", "Type your password."),
        ("\0", "Null characters are not allowed."),
    ],
)
@pytest.mark.parametrize("email", [NEW, ""])
def test_without_the_password_nothing_happens(
    signed_in, user, mailoutbox, email, password, sentence
):
    response = ask(signed_in, email, password)
    assert response.status_code == 200
    assert sentence in field_errors(response)
    assert f'value="{email}"' in response.text or not email
    assert email_of(user) == OLD
    assert mailoutbox == []


def test_a_post_without_fields_gets_a_sentence(signed_in, user):
    assert "Type your password." in field_errors(signed_in.post(EMAIL))
    assert email_of(user) == OLD


def test_guesses_of_the_password_are_limited(signed_in, user, time_machine):
    time_machine.move_to("2026-06-01T12:00:00Z", tick=False)
    for _ in range(MOST_WRONG_PASSWORDS):
        assert ask(signed_in, password="wrong").status_code == 200
    response = ask(signed_in)
    assert (response.status_code, response["Retry-After"]) == (429, "600")
    assert "Too many tries. Please try again in 10 minutes." in sentences(response)
    assert f'value="{NEW}"' in response.text
    assert email_of(user) == OLD


def test_a_bad_address_is_no_guess(signed_in):
    for _ in range(MOST_WRONG_PASSWORDS + 1):
        ask(signed_in, email="junk")
    assert ask(signed_in).status_code == 302


def test_guesses_here_and_where_the_password_is_changed_count_together(signed_in):
    for _ in range(MOST_WRONG_PASSWORDS):
        ask(signed_in, password="wrong")
    data = {"old_password": PASSWORD, "new_password1": "xyzzy 12 plugh"}
    data["new_password2"] = data["new_password1"]
    assert signed_in.post(reverse("password_change"), data).status_code == 429


def test_one_account_asks_for_few_links_an_hour(signed_in, mailoutbox):
    statuses = [ask(signed_in, f"ada{n}@example.com").status_code for n in range(MOST_MAILS + 1)]
    assert statuses == [302] * MOST_MAILS + [429]
    assert len(mailoutbox) == MOST_MAILS


def test_one_address_gets_few_links_an_hour(user, mailoutbox):
    statuses = []
    for n in range(MOST_MAILS + 1):
        browser = Client()
        browser.force_login(UserFactory(username=f"grace{n}"))
        statuses.append(ask(browser, NEW.upper() if n % 2 else NEW).status_code)
    assert statuses == [302] * MOST_MAILS + [429]
    assert len(mailoutbox) == MOST_MAILS


def test_no_stranger_keeps_the_owner_from_another_address(signed_in, user):
    for _ in range(MOST_MAILS):
        Client().post(reverse("password_reset"), {"email": OLD})
    assert ask(signed_in, email="").status_code == 302


def test_the_password_is_not_told_in_reports_of_faults(signed_in, user):
    response = ask(signed_in, password="guess-of-mine")
    assert response.wsgi_request.sensitive_post_parameters == "__ALL__"


@pytest.mark.parametrize("method", ["get", "post"])
def test_the_anonymous_sign_in_first(client, user, method):
    response = getattr(client, method)(EMAIL, {"email": "", "password": PASSWORD})
    assert response["Location"].startswith(f"/login/?next={EMAIL}")
    assert email_of(user) == OLD


@pytest.mark.parametrize("method", ["get", "post"])
def test_with_a_proven_phone_the_password_alone_changes_nothing(
    signed_in, two_factor, user, method
):
    response = getattr(signed_in, method)(EMAIL, {"email": "", "password": PASSWORD})
    assert response["Location"] == f"/2fa/?next={EMAIL.replace('/', '%2F')}"
    assert email_of(user) == OLD


def test_with_the_phone_proven_here_it_is_changed(verified, user):
    ask(verified, email="")
    assert email_of(user) == ""


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_other_methods_are_refused(signed_in, method):
    assert getattr(signed_in, method)(EMAIL).status_code == 405


def test_another_site_cannot_change_it(user):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(user)
    assert ask(browser, email="").status_code == 403
    assert email_of(user) == OLD


def test_it_is_kept_out_of_caches(signed_in):
    assert "no-store" in signed_in.get(EMAIL)["Cache-Control"]


def test_the_page_of_a_link_is_called_by_what_the_link_does(signed_in, user, mailoutbox):
    ask(signed_in)
    assert "<h1>Change the email address</h1>" in signed_in.get(link_in(mailoutbox.pop())).text
    signed_in.post(reverse("account_email_link"))
    assert "<h1>Confirm the email address</h1>" in signed_in.get(link_in(mailoutbox.pop())).text
