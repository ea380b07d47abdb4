"""What an account's owner can see of it and end: sign-ins, changes, other browsers."""

from datetime import timedelta

import pytest
from django.contrib.auth import get_user
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from conftest import verify
from pollstr.accounts import MOST_FAILURES_NOTED, MOST_MAILS, MOST_WRONG_PASSWORDS
from pollstr.models import Account, AccountEvent, note
from two_factor.tests.factories import TwoFactorFactory, UserFactory
from two_factor.tests.pages import sentences
from two_factor.tests.parallel import in_parallel

pytestmark = pytest.mark.django_db
PASSWORD, NEW = "correct horse battery", "staple of another kind"
ACCOUNT, OTHERS = reverse("account"), reverse("account_sign_out_others")
LINK = reverse("account_email_link")
Kind = AccountEvent.Kind


def sign_in(browser, password=PASSWORD, name="ada", **extra):
    data = {"username": name, "password": password}
    return browser.post(reverse("login"), data, **extra)


def kinds(user):
    return list(user.account_events.order_by("pk").values_list("kind", flat=True))


def test_sign_ins_right_and_wrong_are_kept_with_the_address(client, user):
    sign_in(client, "wrong", REMOTE_ADDR="192.0.2.9")
    sign_in(client, name="ADA")
    assert kinds(user) == [Kind.REFUSED, Kind.SIGNED_IN]
    page = client.get(ACCOUNT).text
    assert page.index("<td>signed in</td>") < page.index("<td>wrong password</td>")
    assert "192.0.2.9" in page


def test_of_many_wrong_passwords_the_first_are_kept(client, user):
    for n in range(MOST_FAILURES_NOTED + 5):
        sign_in(client, "wrong", REMOTE_ADDR=f"192.0.2.{n}")
    assert kinds(user) == [Kind.REFUSED] * MOST_FAILURES_NOTED


def test_a_name_that_nobody_has_leaves_no_trace(client, db):
    sign_in(client, "wrong", "nobody")
    assert not AccountEvent.objects.exists()


def test_a_registration_and_changes_are_kept(client, mailoutbox):
    fields = {"username": "grace", "email": "grace@example.com"}
    client.post(reverse("register"), fields | {"password1": PASSWORD, "password2": PASSWORD})
    fields = {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW}
    client.post(reverse("password_change"), fields)
    client.post(reverse("account_email"), {"email": "", "password": NEW})
    user = User.objects.get()
    assert kinds(user) == [Kind.SIGNED_IN, Kind.PASSWORD, Kind.EMAIL]


def test_nobody_sees_those_of_others(signed_in):
    note(UserFactory(), Kind.REFUSED, "192.0.2.1")
    assert "Sign-ins and passwords" not in signed_in.get(ACCOUNT).text


def test_they_go_with_the_account_and_by_age(user):
    note(user, Kind.SIGNED_IN, "192.0.2.1")
    note(user, Kind.REFUSED, "192.0.2.1")
    AccountEvent.objects.filter(kind=Kind.REFUSED).update(at=timezone.now() - timedelta(days=366))
    call_command("purge")
    assert kinds(user) == [Kind.SIGNED_IN]
    user.delete()
    assert not AccountEvent.objects.exists()
    assert not Account.objects.exists()


def test_an_account_that_is_gone_gets_no_entry(user):
    User.objects.filter(pk=user.pk).delete()
    note(user, Kind.SIGNED_IN, "192.0.2.1")
    assert not AccountEvent.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_who_signs_in_while_the_account_is_deleted_gets_an_answer(user):
    turns = iter(range(16))

    def act():
        if next(turns) == 7:
            browser = Client()
            browser.force_login(user)
            return browser.post(reverse("account_delete"), {"password": PASSWORD}).status_code
        return sign_in(Client()).status_code

    assert set(in_parallel(16, act)) <= {200, 302}
    assert not User.objects.exists()
    assert not AccountEvent.objects.exists()
    assert not Account.objects.exists()


def test_other_browsers_are_signed_out_and_this_one_is_not(verified, user):
    other = Client()
    other.force_login(user)
    response = verified.post(OTHERS, {"password": PASSWORD})
    assert (response.status_code, response["Location"]) == (302, ACCOUNT)
    assert get_user(verified) == user
    assert not get_user(other).is_authenticated
    assert "All other browsers are signed out." in sentences(verified.get(ACCOUNT))
    assert sign_in(Client()).status_code == 302


def test_it_is_linked_from_the_account(signed_in):
    assert f'href="{OTHERS}"' in signed_in.get(ACCOUNT).text


def test_without_the_password_nobody_is_signed_out(signed_in, user):
    other = Client()
    other.force_login(user)
    for _ in range(MOST_WRONG_PASSWORDS):
        response = signed_in.post(OTHERS, {"password": "wrong"})
        assert response.status_code == 200
    assert "That is not your password." in response.text
    assert signed_in.post(OTHERS, {"password": PASSWORD}).status_code == 429
    assert get_user(other) == user


def test_with_a_proven_phone_the_password_alone_signs_nobody_out(signed_in, two_factor):
    response = signed_in.post(OTHERS, {"password": PASSWORD})
    assert response["Location"].startswith("/2fa/?next=")


def test_the_anonymous_sign_in_first(client):
    for url in [OTHERS, LINK]:
        assert client.get(url)["Location"] == f"/login/?next={url}"


def test_a_password_changed_meanwhile_stays(signed_in, user, monkeypatch):
    def slow_hash(self, password):
        User.objects.filter(pk=self.pk).update(password="another")
        self.password = "of the same password"

    monkeypatch.setattr(User, "set_password", slow_hash)
    assert signed_in.post(OTHERS, {"password": PASSWORD}).status_code == 302
    assert User.objects.get().password == "another"


@pytest.fixture
def unconfirmed(signed_in, user):
    User.objects.update(email="ada@example.com")
    return signed_in


def test_an_address_is_confirmed_by_the_link_that_registering_sends(client, mailoutbox):
    fields = {"username": "grace", "email": "grace@example.com"}
    client.post(reverse("register"), fields | {"password1": PASSWORD, "password2": PASSWORD})
    user = User.objects.get()
    assert "not confirmed yet" in client.get(ACCOUNT).text
    [mail] = mailoutbox
    assert (mail.to, mail.subject) == (["grace@example.com"], "Is this your address for Pollstr?")
    link = mail.body.partition("http://testserver")[2].split()[0]
    client.get(link)
    assert not Account.objects.get(pk=user.pk).has_confirmed_email
    client.post(link)
    assert Account.objects.get(pk=user.pk).has_confirmed_email
    assert "Your email address is confirmed." in sentences(client.get(ACCOUNT))
    assert "not confirmed yet" not in client.get(ACCOUNT).text
    # Nobody is told that an address went away.
    assert len(mailoutbox) == 1


def test_another_link_is_sent_on_request(unconfirmed, mailoutbox):
    assert f'href="{LINK}"' in unconfirmed.get(ACCOUNT).text
    assert unconfirmed.get(LINK).status_code == 200
    assert mailoutbox == []
    for _ in range(MOST_MAILS):
        assert unconfirmed.post(LINK)["Location"] == ACCOUNT
    response = unconfirmed.post(LINK)
    assert (response.status_code, "Retry-After" in response) == (429, True)
    assert [mail.to for mail in mailoutbox] == [["ada@example.com"]] * MOST_MAILS


def test_where_there_is_nothing_to_confirm_no_link_is_sent(signed_in, user, mailoutbox):
    assert signed_in.post(LINK)["Location"] == ACCOUNT
    User.objects.update(email="ada@example.com")
    Account.objects.update(confirmed_email="ada@example.com")
    assert signed_in.post(LINK)["Location"] == ACCOUNT
    assert mailoutbox == []


def test_a_changed_address_is_confirmed(unconfirmed, user, mailoutbox):
    new = {"email": "lovelace@example.com", "password": PASSWORD}
    unconfirmed.post(reverse("account_email"), new)
    unconfirmed.post(mailoutbox[0].body.partition("http://testserver")[2].split()[0])
    account = Account.objects.get(pk=user.pk)
    assert account.confirmed_email == account.user.email == "lovelace@example.com"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_deleted", [True, False])
def test_clicks_on_links_and_a_deletion_at_once_leave_all_in_order(user, mailoutbox, is_deleted):
    first = Client()
    first.force_login(user)
    for name in ["b", "c"]:
        new = {"email": f"{name}@example.com", "password": PASSWORD}
        first.post(reverse("account_email"), new)
    links = [mail.body.partition("http://testserver")[2].split()[0] for mail in mailoutbox]
    turns = iter(range(12))

    def click():
        turn, browser = next(turns), Client()
        browser.cookies = first.cookies
        if is_deleted and turn == 5:
            return browser.post(reverse("account_delete"), {"password": PASSWORD}).status_code
        return browser.post(links[turn % 2]).status_code

    assert set(in_parallel(12, click)) <= {200, 302}
    accounts = Account.objects.select_related("user")
    assert [account.has_confirmed_email for account in accounts] == [True] * (not is_deleted)
    assert User.objects.count() == (not is_deleted)


def test_nobody_fills_a_mailbox_by_registering_with_tags(mailoutbox):
    for n in range(3 * MOST_MAILS):
        fields = {"username": f"eve{n}", "email": f"ada+{n}@example.com"}
        fields |= {"password1": PASSWORD, "password2": PASSWORD}
        browser = Client(REMOTE_ADDR=f"192.0.2.{n}")
        assert browser.post(reverse("register"), fields).status_code == 302
    assert len(mailoutbox) == MOST_MAILS
    assert User.objects.count() == 3 * MOST_MAILS


def test_one_internet_address_asks_for_few_mails(mailoutbox, monkeypatch):
    monkeypatch.setattr("pollstr.accounts.MOST_MAILS_BY_ADDRESS", 4)
    for n in range(6):
        fields = {"username": f"eve{n}", "email": f"ada{n}@example.com"}
        fields |= {"password1": PASSWORD, "password2": PASSWORD}
        assert Client().post(reverse("register"), fields).status_code == 302
    assert len(mailoutbox) == 4
    browser = Client()
    browser.force_login(UserFactory())
    asked = {"email": "grace@example.com", "password": PASSWORD}
    assert browser.post(reverse("account_email"), asked).status_code == 429


def test_without_mail_nothing_is_said_of_confirming(unconfirmed, settings, mailoutbox):
    settings.SENDS_MAIL = False
    assert "not confirmed yet" not in unconfirmed.get(ACCOUNT).text
    assert unconfirmed.post(LINK)["Location"] == ACCOUNT
    assert mailoutbox == []


def language_of(user):
    return Account.objects.get(pk=user.pk).language


def test_the_language_of_an_account_is_that_of_its_registration(client):
    fields = {"username": "grace", "password1": PASSWORD, "password2": PASSWORD}
    client.post(reverse("register"), fields, headers={"accept-language": "fr-CA"})
    assert language_of(User.objects.get()) == "fr"


def test_the_language_chosen_last_counts(signed_in, user):
    for code in ["de", "ar", "tlh"]:
        signed_in.post("/language/", {"language": code})
    assert language_of(user) == "ar"


def test_a_browser_without_the_phone_chooses_no_language_for_the_account(user, signed_in):
    two_factor = TwoFactorFactory(user=user)
    signed_in.post("/language/", {"language": "de"})
    assert language_of(user) == ""
    verify(signed_in, two_factor)
    signed_in.post("/language/", {"language": "de"})
    assert language_of(user) == "de"
