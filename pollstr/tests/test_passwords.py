import re

import pytest
from django.contrib.auth import get_user
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from pollstr.accounts import MOST_MAILS, MOST_WRONG_PASSWORDS
from two_factor.tests.pages import sentences

pytestmark = pytest.mark.django_db
CHANGE = reverse("password_change")
RESET = reverse("password_reset")
OLD, NEW = "correct horse battery", "staple of another kind"


@pytest.fixture
def user(user):
    user.email = "ada@example.com"
    user.save(update_fields=["email"])
    return user


def change(client, **fields):
    data = {"old_password": OLD, "new_password1": NEW, "new_password2": NEW}
    return client.post(CHANGE, data | fields)


def has_password(user, password):
    user.refresh_from_db()
    return user.check_password(password)


def test_a_password_can_be_changed(signed_in, user):
    assert "<title>Change the password · Pollstr</title>" in signed_in.get(CHANGE).text
    response = change(signed_in)
    assert response.status_code == 302
    assert "<title>Password changed · Pollstr</title>" in signed_in.get(response["Location"]).text
    assert has_password(user, NEW)
    assert get_user(signed_in) == user


def test_a_change_signs_out_other_browsers(signed_in, user):
    other = Client()
    other.force_login(user)
    change(signed_in)
    assert not get_user(other).is_authenticated


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"old_password": "wrong"}, "Your old password was entered incorrectly."),
        ({"old_password": ""}, "This field is required."),
        ({"old_password": "\0"}, "Null characters are not allowed."),
        ({"new_password2": "another"}, "password fields didn’t match"),
        ({"new_password1": "password1", "new_password2": "password1"}, "too common"),
        ({"new_password1": "é" * 1001, "new_password2": "é" * 1001}, "at most 1000 characters"),
        ({"new_password1": "", "new_password2": ""}, "This field is required."),
    ],
)
def test_a_bad_change_gets_a_sentence_and_changes_nothing(signed_in, user, fields, sentence):
    response = change(signed_in, **fields)
    assert response.status_code == 200
    assert "<title>Error: Change the password · Pollstr</title>" in response.text
    assert sentence in response.text
    assert has_password(user, OLD)


def test_guesses_of_the_old_password_are_limited(signed_in, user, time_machine):
    time_machine.move_to("2026-06-01T12:00:00Z", tick=False)
    for _ in range(MOST_WRONG_PASSWORDS):
        assert change(signed_in, old_password="wrong").status_code == 200
    response = change(signed_in)
    assert (response.status_code, response["Retry-After"]) == (429, "600")
    assert "Too many tries. Please try again in 10 minutes." in sentences(response)
    assert has_password(user, OLD)


def test_a_new_password_that_is_refused_is_no_guess(signed_in, user):
    for _ in range(MOST_WRONG_PASSWORDS + 1):
        change(signed_in, new_password2="another")
    assert change(signed_in).status_code == 302


def assert_told(mail):
    assert mail.to == ["ada@example.com"]
    assert mail.subject == "Your Pollstr password was changed"
    words = " ".join(mail.body.split())
    assert "Your account has a new password. Browsers that were signed in elsewhere are" in words
    assert "choose a new one at once with “Forgot your password?” on the sign-in page" in words
    assert NEW not in mail.message().as_string()


def test_a_change_is_mailed(signed_in, mailoutbox):
    change(signed_in)
    [mail] = mailoutbox
    assert_told(mail)


def test_a_change_that_was_refused_is_not_mailed(signed_in, mailoutbox):
    change(signed_in, old_password="wrong")
    assert mailoutbox == []


def test_a_password_set_through_a_link_is_mailed_too(client, user, mailoutbox):
    ask(client)
    page = client.get(link_in(mailoutbox[0]), follow=True)
    new = {"new_password1": NEW, "new_password2": NEW}
    client.post(page.request["PATH_INFO"], new)
    assert_told(mailoutbox[1])


def test_nobody_is_flooded_with_mail_about_changes(signed_in, mailoutbox):
    passwords = [OLD, NEW]
    for n in range(MOST_MAILS):
        new = passwords[(n + 1) % 2]
        fields = {"old_password": passwords[n % 2], "new_password1": new, "new_password2": new}
        assert change(signed_in, **fields).status_code == 302
    assert change(signed_in, old_password=new).status_code == 429
    assert len(mailoutbox) == MOST_MAILS


@pytest.mark.parametrize("through", ["the form", "a link"])
def test_what_changes_while_the_password_is_hashed_stays(
    signed_in, user, mailoutbox, monkeypatch, through
):
    def slow_hash(self, password):
        User.objects.filter(pk=self.pk).update(email="lovelace@example.com")
        self.password = make_password(password)

    ask(signed_in)
    [mail] = mailoutbox
    monkeypatch.setattr(User, "set_password", slow_hash)
    if through == "the form":
        assert change(signed_in).status_code == 302
    else:
        page = signed_in.get(link_in(mail), follow=True)
        new = {"new_password1": NEW, "new_password2": NEW}
        assert signed_in.post(page.request["PATH_INFO"], new).status_code == 302
    assert has_password(user, NEW)
    assert user.email == "lovelace@example.com"


def test_an_account_deleted_meanwhile_does_not_come_back(signed_in, user, monkeypatch):
    def slow_hash(self, password):
        User.objects.filter(pk=self.pk).delete()

    monkeypatch.setattr(User, "set_password", slow_hash)
    assert change(signed_in).status_code == 302
    assert not User.objects.exists()


def test_the_administration_leads_to_the_same_form(client):
    assert client.get("/admin/password_change/")["Location"] == CHANGE
    assert client.post("/admin/password_change/").status_code == 405


@pytest.mark.parametrize("url", [CHANGE, reverse("password_change_done")])
def test_the_anonymous_sign_in_before_a_change(client, url):
    assert client.get(url)["Location"] == f"/login/?next={url}"


def ask(client, email="ada@example.com"):
    return client.post(RESET, {"email": email})


def link_in(mail):
    return re.search(r"http://testserver(/reset/\S+)", mail.body)[1]


def test_a_mail_lets_back_in(client, user, mailoutbox):
    assert "<title>Reset the password · Pollstr</title>" in client.get(RESET).text
    done = client.get(ask(client)["Location"])
    assert "<title>Look into your mail · Pollstr</title>" in done.text
    [mail] = mailoutbox
    assert mail.to == ["ada@example.com"]
    assert mail.subject == "A new password for Pollstr"
    page = client.get(link_in(mail), follow=True)
    assert "<title>Choose a new password · Pollstr</title>" in page.text
    new = {"new_password1": NEW, "new_password2": NEW}
    response = client.post(page.request["PATH_INFO"], new, follow=True)
    assert "<title>Your password is set · Pollstr</title>" in response.text
    assert has_password(user, NEW)
    assert client.post("/login/", {"username": "ada", "password": NEW}).status_code == 302


def test_a_link_works_once(client, user, mailoutbox):
    ask(client)
    user.set_password(NEW)
    user.save()
    page = client.get(link_in(mailoutbox[0]), follow=True)
    assert "This link was used already or is too old." in page.text
    assert 'href="/password_reset/"' in page.text


@pytest.mark.parametrize("token", ["x-y", "x", "set-password", "9" * 3000])
def test_a_made_up_link_is_told(client, user, token):
    for uid in ["MQ", "x", "9" * 3000]:
        page = client.get(f"/reset/{uid}/{token}/", follow=True)
        assert page.status_code == 200
        assert "This link was used already or is too old." in page.text


def test_a_bad_new_password_is_said(client, user, mailoutbox):
    ask(client)
    page = client.get(link_in(mailoutbox[0]), follow=True)
    new = {"new_password1": "password1", "new_password2": "password1"}
    response = client.post(page.request["PATH_INFO"], new)
    assert "<title>Error: Choose a new password · Pollstr</title>" in response.text
    assert "This password is too common." in response.text
    assert has_password(user, OLD)


def test_nobody_learns_whether_an_address_has_an_account(client, user, mailoutbox):
    assert ask(client, "nobody@example.com")["Location"] == ask(client)["Location"]
    assert len(mailoutbox) == 1


@pytest.mark.parametrize("email", ["", "junk", "\0@example.com", "x" * 10_000 + "@example.com"])
def test_a_bad_address_gets_a_sentence(client, user, mailoutbox, email):
    response = ask(client, email)
    assert response.status_code == 200
    assert "<title>Error: Reset the password · Pollstr</title>" in response.text
    assert not mailoutbox


def test_a_site_without_mail_says_so(client, user, settings, mailoutbox):
    settings.SENDS_MAIL = False
    for response in [client.get(RESET), ask(client)]:
        assert response.status_code == 200
        assert "This site sends no mail yet" in response.text
        assert 'name="email"' not in response.text
    assert not mailoutbox


def test_the_link_is_of_this_site_only(client, user, mailoutbox):
    response = client.post(RESET, {"email": user.email}, headers={"host": "evil.example"})
    assert response.status_code == 400
    assert not mailoutbox


def test_with_a_proven_phone_the_password_alone_does_not_change_it(signed_in, two_factor):
    response = signed_in.post(reverse("password_change"), {"old_password": "x"})
    assert response["Location"] == "/2fa/?next=%2Fpassword_change%2F"


def test_with_a_proven_phone_it_is_changed_after_the_code(verified):
    assert verified.get(reverse("password_change")).status_code == 200


def set_password_by_mail(mailoutbox):
    """Take the way of somebody who reads the user's mail, in a browser of their own."""
    browser = Client()
    ask(browser)
    page = browser.get(link_in(mailoutbox[0]), follow=True)
    new = {"new_password1": NEW, "new_password2": NEW}
    browser.post(page.request["PATH_INFO"], new)
    browser.post("/login/", {"username": "ada", "password": NEW})
    return browser


def test_a_password_set_by_mail_stands_in_for_no_phone(user, two_factor, mailoutbox):
    browser = set_password_by_mail(mailoutbox)
    assert get_user(browser) == user
    assert browser.get(reverse("two_factor:change"))["Location"].startswith("/2fa/?next=")
    two_factor.refresh_from_db()
    assert two_factor.number == "+12025550123"


def test_a_password_set_by_mail_ends_other_sessions(verified, user, mailoutbox):
    set_password_by_mail(mailoutbox)
    assert not get_user(verified).is_authenticated


def right(name):
    """Return a form with the right password, most of them refused for another reason."""
    return {
        "password_change": {"old_password": OLD, "new_password1": "x", "new_password2": "y"},
        "account_email": {"password": OLD, "email": "junk"},
        "account_sign_out_others": {"password": OLD},
        "two_factor:change": {"password": OLD, "number": "junk"},
    }[name]


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize(
    "name", ["password_change", "account_email", "account_sign_out_others", "two_factor:change"]
)
def test_right_passwords_are_hashed_within_bounds_only(verified, monkeypatch, name):
    monkeypatch.setattr("two_factor.passwords.MAX_CHECKS", 3)
    for _ in range(3):
        assert verified.post(reverse(name), right(name)).status_code in {200, 302}
    monkeypatch.setattr("django.contrib.auth.models.User.check_password", pytest.fail)
    response = verified.post(reverse(name), right(name))
    assert response.status_code == 429
    assert int(response["Retry-After"]) > 0
    assert "Too many tries." in response.text
