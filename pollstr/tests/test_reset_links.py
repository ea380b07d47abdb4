"""Whom a link for a new password reaches, and that the answer does not tell who has an account."""

import re
import socket
import time
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from pollstr.models import Account
from pollstr.password_reset import MOST_SPELLINGS, accounts_with
from two_factor.tests.factories import TwoFactorFactory, UserFactory
from two_factor.tests.parallel import finish_mail

pytestmark = pytest.mark.django_db
RESET = reverse("password_reset")
ADDRESS, NEW = "ada@example.com", "staple of another kind"
MOST_ACCOUNTS = 10


@pytest.fixture(autouse=True)
def few_accounts(monkeypatch):
    monkeypatch.setattr("pollstr.password_reset.MOST_ACCOUNTS", MOST_ACCOUNTS)


@pytest.fixture
def user(user):
    User.objects.filter(pk=user.pk).update(email=ADDRESS)
    user.refresh_from_db()
    return user


def ask(email=ADDRESS, **fields):
    response = Client().post(RESET, {"email": email} | fields)
    assert response.status_code == 302
    return response


def strangers(number, email=ADDRESS, **fields):
    return [UserFactory(username=f"eve{n}", email=email, **fields) for n in range(number)]


def names_in(mail) -> list[str]:
    return re.findall(r"^(\S+)\nhttp", mail.body, re.MULTILINE)


def links_in(mail) -> dict[str, str]:
    return dict(re.findall(r"^(\S+)\nhttp://testserver(\S+)$", mail.body, re.MULTILINE))


def set_password(link, browser=None):
    browser = browser or Client()
    form = browser.get(link, follow=True).request["PATH_INFO"]
    new = {"new_password1": NEW, "new_password2": NEW}
    return browser.post(form, new)


@pytest.mark.parametrize("number", [6, MOST_ACCOUNTS + 20])
def test_accounts_that_strangers_make_later_do_not_crowd_out_the_owner(user, mailoutbox, number):
    later = timezone.now() + timedelta(days=1)
    strangers(number, date_joined=later, last_login=later)
    ask()
    [mail] = mailoutbox
    assert names_in(mail)[0] == "ada"
    assert len(names_in(mail)) == min(number + 1, MOST_ACCOUNTS)


def test_one_mail_has_a_link_for_each_account(user, mailoutbox):
    strangers(2)
    ask()
    [mail] = mailoutbox
    assert mail.to == [ADDRESS]
    assert mail.subject == "A new password for Pollstr"
    assert "These 3 Pollstr accounts have this email address." in mail.body
    links = links_in(mail)
    assert sorted(links) == ["ada", "eve0", "eve1"]
    assert set_password(links["ada"]).status_code == 302
    user.refresh_from_db()
    assert user.check_password(NEW)
    assert not User.objects.get(username="eve0").check_password(NEW)


def test_confirmed_addresses_come_before_older_accounts(user, mailoutbox):
    earlier = user.date_joined - timedelta(days=1)
    strangers(MOST_ACCOUNTS + 5, date_joined=earlier)
    Account.objects.filter(pk=user.pk).update(confirmed_email=ADDRESS)
    ask()
    assert names_in(mailoutbox[0])[0] == "ada"


def test_a_proven_phone_comes_before_older_accounts_without_one(user, mailoutbox):
    strangers(MOST_ACCOUNTS + 5, date_joined=user.date_joined - timedelta(days=1))
    TwoFactorFactory(user=user)
    ask()
    assert names_in(mailoutbox[0])[0] == "ada"


def test_other_spellings_of_an_address_do_not_crowd_out_the_owner(user, mailoutbox):
    earlier = user.date_joined - timedelta(days=1)
    for n, spelling in enumerate(["Ada", "aDa", "adA", "ADa"]):
        UserFactory(username=f"eve{n}", email=f"{spelling}@example.com", date_joined=earlier)
    ask()
    assert len(mailoutbox) == MOST_SPELLINGS
    assert mailoutbox[0].to == [ADDRESS]
    assert names_in(mailoutbox[0]) == ["ada"]


@pytest.mark.parametrize(
    "fields", [{"is_active": False}, {"password": "!unusable"}, {"email": "other@example.com"}]
)
def test_who_cannot_sign_in_gets_no_link(user, mailoutbox, fields):
    User.objects.update(**fields)
    ask()
    assert mailoutbox == []


def test_letters_that_only_look_alike_are_another_address(user, mailoutbox):
    User.objects.update(email="ada@mıke.example")
    ask("ada@mike.example")
    assert mailoutbox == []


def test_a_confirmed_address_that_was_replaced_is_confirmed_no_more(user):
    Account.objects.filter(pk=user.pk).update(confirmed_email=ADDRESS)
    other = UserFactory(
        username="eve", email=ADDRESS, date_joined=user.date_joined - timedelta(days=1)
    )
    assert accounts_with(ADDRESS) == [user, other]
    Account.objects.filter(pk=user.pk).update(confirmed_email="before@example.com")
    assert accounts_with(ADDRESS) == [other, user]


def test_whoever_sets_a_password_through_a_link_has_confirmed_the_address(user, mailoutbox):
    assert not user.account.has_confirmed_email
    ask()
    link = links_in(mailoutbox[0])["ada"]
    Client().get(link, follow=True)
    assert not Account.objects.get(pk=user.pk).has_confirmed_email
    set_password(link)
    assert Account.objects.get(pk=user.pk).has_confirmed_email


def test_an_address_as_a_name_gets_mail_too(db, mailoutbox):
    user = UserFactory(username="Grace@example.com", email="")
    ask("grace@example.com")
    [mail] = mailoutbox
    assert mail.to == ["Grace@example.com"]
    set_password(links_in(mail)["Grace@example.com"])
    user.refresh_from_db()
    assert user.check_password(NEW)
    assert user.email == "Grace@example.com"
    assert Account.objects.get(pk=user.pk).has_confirmed_email


@pytest.mark.parametrize(("kept", "subject"), [("", "Un nouveau"), ("de", "Ein neues")])
def test_it_is_written_in_the_language_of_the_account_or_of_who_asks(
    user, mailoutbox, kept, subject
):
    Account.objects.filter(pk=user.pk).update(language=kept)
    Client().post(RESET, {"email": ADDRESS}, headers={"accept-language": "fr"})
    assert mailoutbox[0].subject.startswith(subject)


def test_the_page_says_that_an_account_may_have_no_address(client):
    text = client.get(reverse("password_reset_done")).text
    assert "Your account may have no email address." in text


def test_the_poll_is_found_again_after_a_forgotten_password(user, mailoutbox):
    browser = Client()
    page = browser.get(reverse("login"), {"next": "/polls/1/?choice=3"})
    assert 'href="/password_reset/?next=%2Fpolls%2F1%2F%3Fchoice%3D3"' in page.text
    page = browser.get(RESET, {"next": "/polls/1/?choice=3"})
    assert '<input type="hidden" name="next" value="/polls/1/?choice=3">' in page.text
    done = ask(next="/polls/1/?choice=3")
    assert "/login/?next=%2Fpolls%2F1%2F%3Fchoice%3D3" in browser.get(done["Location"]).text
    # The mail is opened on another device.
    phone = Client()
    complete = phone.get(set_password(links_in(mailoutbox[0])["ada"], phone)["Location"])
    assert 'href="/login/?next=%2Fpolls%2F1%2F%3Fchoice%3D3"' in complete.text


def test_a_link_leads_to_no_page_of_an_earlier_link(user, mailoutbox):
    ask(next="/polls/1/")
    ask()
    earlier, latest = (links_in(sent)["ada"] for sent in mailoutbox)
    browser = Client()
    browser.get(earlier)
    assert set_password(latest, browser)["Location"] == reverse("password_reset_complete")


@pytest.mark.parametrize("next", ["https://evil.example/", "//evil.example", "/logout/", "x"])
def test_the_link_leads_to_no_other_site(user, mailoutbox, next):
    ask(next=next)
    [link] = links_in(mailoutbox[0]).values()
    assert "next" not in link
    for appended in [f"{link}?next={next}", f"{link}?next=Im5vd2hlcmUi:1x:1"]:
        browser = Client()
        browser.get(appended)
    assert set_password(link)["Location"] == reverse("password_reset_complete")


def test_a_very_long_way_back_is_not_mailed(user, mailoutbox):
    ask(next="/polls/?q=" + "x" * 900)
    [link] = links_in(mailoutbox[0]).values()
    assert len(link) < 100


@pytest.fixture
def silent_server(settings, monkeypatch):
    """A mail server that takes a connection and never speaks."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        options = {"host": "127.0.0.1", "port": server.getsockname()[1], "timeout": 5}
        backend = "django.core.mail.backends.smtp.EmailBackend"
        settings.MAILERS = {"default": {"BACKEND": backend, "OPTIONS": options}}
        yield server


@pytest.mark.django_db(transaction=True)
def test_a_mail_server_that_never_speaks_holds_no_answer(user, silent_server, caplog):
    for email in [ADDRESS, "nobody@example.com"]:
        began = time.monotonic()
        ask(email)
        # Far below the five seconds that the server holds a connection.
        assert time.monotonic() - began < 3
    fields = {"username": "grace", "email": "grace@example.com"}
    fields |= {"password1": NEW, "password2": NEW}
    began = time.monotonic()
    assert Client().post(reverse("register"), fields).status_code == 302
    assert time.monotonic() - began < 3
    finish_mail()
    assert "The mail password_reset could not be sent: " in caplog.text
    assert "The mail email_link could not be sent: " in caplog.text
    assert "example.com" not in caplog.text


@pytest.mark.django_db(transaction=True)
def test_a_known_address_costs_the_answer_no_more_queries(user, no_mail_server):
    counts = []
    for email in [ADDRESS, "nobody@example.com"]:
        with CaptureQueriesContext(connection) as captured:
            ask(email)
        counts.append(len(captured))
    finish_mail()
    assert counts[0] == counts[1]
