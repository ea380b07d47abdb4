import pytest
from django.contrib.auth import get_user
from django.contrib.auth.tokens import default_token_generator
from django.test import Client
from django.urls import reverse

from pollstr.views import MOST_MAILS, MOST_WRONG_PASSWORDS
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


def change(client, email=NEW, password=PASSWORD):
    return client.post(EMAIL, {"email": email, "password": password})


def email_of(user):
    user.refresh_from_db()
    return user.email


def test_it_is_linked_from_the_account(signed_in):
    assert f'href="{EMAIL}"' in signed_in.get(ACCOUNT).text


def test_it_shows_the_address_there_is(signed_in):
    response = signed_in.get(EMAIL)
    assert response.status_code == 200
    assert "<title>Change the email address · Pollstr</title>" in response.text
    assert f'value="{OLD}"' in response.text


def test_an_address_is_changed(signed_in, user):
    response = change(signed_in)
    assert (response.status_code, response["Location"]) == (302, ACCOUNT)
    assert email_of(user) == NEW
    page = signed_in.get(ACCOUNT)
    assert sentences(page) == "Your email address is changed."
    assert f"<dd>{NEW}</dd>" in page.text
    assert get_user(signed_in) == user


def test_who_registered_without_one_gets_one(signed_in, user, mailoutbox):
    user.email = ""
    user.save(update_fields=["email"])
    change(signed_in)
    assert email_of(user) == NEW
    assert mailoutbox == []
    signed_in.post(reverse("logout"))
    signed_in.post(reverse("password_reset"), {"email": NEW})
    assert [mail.to for mail in mailoutbox] == [[NEW]]


def test_an_empty_field_takes_it_away(signed_in, user):
    change(signed_in, email="")
    assert email_of(user) == ""
    assert sentences(signed_in.get(ACCOUNT)) == "Your account has no email address any more."


@pytest.mark.parametrize("email", [NEW, ""])
def test_the_address_there_was_is_told(signed_in, user, mailoutbox, email):
    change(signed_in, email=email)
    [mail] = mailoutbox
    assert mail.to == [OLD]
    assert mail.subject == "Your Pollstr account has another email address"
    words = " ".join(mail.body.split())
    assert "Hello ada," in words
    assert "Mail about your account does not come to this address any more." in words
    assert "change your password at once" in words
    # Whoever reads the old mailbox need not be told the new one.
    assert NEW not in mail.message().as_string()


def test_a_mail_server_in_trouble_does_not_undo_it(signed_in, user, settings):
    settings.MAILERS = {
        "default": {
            "BACKEND": "django.core.mail.backends.smtp.EmailBackend",
            "OPTIONS": {"host": "127.0.0.1", "port": 1, "timeout": 1},
        }
    }
    assert change(signed_in).status_code == 302
    assert email_of(user) == NEW


def test_a_link_on_its_way_to_the_old_address_is_void(signed_in, user):
    token = default_token_generator.make_token(user)
    change(signed_in)
    user.refresh_from_db()
    assert not default_token_generator.check_token(user, token)


@pytest.mark.parametrize(
    ("email", "sentence"),
    [
        ("ada", "Enter a valid email address."),
        ("ada@", "Enter a valid email address."),
        ("ada@example.com\r\nBcc: all@example.com", "Enter a valid email address."),
        ("\0@example.com", "Null characters are not allowed."),
        (f"{'a' * 250}@example.com", "at most 254 characters"),
        (OLD, "That is your email address already."),
    ],
)
def test_a_bad_address_gets_a_sentence(signed_in, user, mailoutbox, email, sentence):
    response = change(signed_in, email=email)
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
def test_without_the_password_nothing_happens(signed_in, user, mailoutbox, password, sentence):
    response = change(signed_in, password=password)
    assert response.status_code == 200
    assert sentence in field_errors(response)
    assert f'value="{NEW}"' in response.text
    assert email_of(user) == OLD
    assert mailoutbox == []


def test_a_post_without_fields_gets_a_sentence(signed_in, user):
    assert "Type your password." in field_errors(signed_in.post(EMAIL))
    assert email_of(user) == OLD


def test_guesses_of_the_password_are_limited(signed_in, user, time_machine):
    time_machine.move_to("2026-06-01T12:00:00Z", tick=False)
    for _ in range(MOST_WRONG_PASSWORDS):
        assert change(signed_in, password="wrong").status_code == 200
    response = change(signed_in)
    assert (response.status_code, response["Retry-After"]) == (429, "600")
    assert "Too many tries. Please try again in 10 minutes." in sentences(response)
    assert f'value="{NEW}"' in response.text
    assert email_of(user) == OLD


def test_guesses_here_and_where_the_password_is_changed_count_together(signed_in):
    for _ in range(MOST_WRONG_PASSWORDS):
        change(signed_in, password="wrong")
    data = {"old_password": PASSWORD, "new_password1": "xyzzy 12 plugh"}
    data["new_password2"] = data["new_password1"]
    assert signed_in.post(reverse("password_change"), data).status_code == 429


def test_nobody_is_flooded_with_mail(signed_in, user, mailoutbox):
    for n in range(2 * MOST_MAILS):
        change(signed_in, email=f"ada{n}@example.com")
        change(signed_in, email=OLD)
    assert len([mail for mail in mailoutbox if mail.to == [OLD]]) == MOST_MAILS
    assert change(signed_in).status_code == 429


@pytest.mark.parametrize("method", ["get", "post"])
def test_the_anonymous_sign_in_first(client, user, method):
    data = {"email": NEW, "password": PASSWORD}
    response = getattr(client, method)(EMAIL, data)
    assert response["Location"].startswith(f"/login/?next={EMAIL}")
    assert email_of(user) == OLD


@pytest.mark.parametrize("method", ["get", "post"])
def test_with_a_proven_phone_the_password_alone_changes_nothing(
    signed_in, two_factor, user, method
):
    response = getattr(signed_in, method)(EMAIL, {"email": NEW, "password": PASSWORD})
    assert response["Location"] == f"/2fa/?next={EMAIL.replace('/', '%2F')}"
    assert email_of(user) == OLD


def test_with_the_phone_proven_here_it_is_changed(verified, user):
    change(verified)
    assert email_of(user) == NEW


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_other_methods_are_refused(signed_in, method):
    assert getattr(signed_in, method)(EMAIL).status_code == 405


def test_another_site_cannot_change_it(user):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(user)
    assert change(browser).status_code == 403
    assert email_of(user) == OLD


def test_it_is_kept_out_of_caches(signed_in):
    assert "no-store" in signed_in.get(EMAIL)["Cache-Control"]
