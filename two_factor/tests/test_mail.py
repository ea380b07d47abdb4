import re

import pytest
from django.core import mail
from django.core.management import call_command
from django.db import transaction
from django.urls import reverse
from django.utils import translation

from two_factor.mail import after_answer, places, send
from two_factor.mixins import VERIFIED
from two_factor.models import TwoFactor
from two_factor.recovery import RecoveryCode
from two_factor.tests.parallel import finish_mail

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]
PASSWORD, CODE, NEW = "correct horse battery", "482913", "+12025550188"
CHANGE_PASSWORD = "change your password at once: whoever did this knows it."


EVENTS = ["new_number", "changed", "reset", "recovered", "locked", "failed"]


@pytest.fixture(autouse=True)
def address(user):
    user.email = "ada@example.com"
    user.save(update_fields=["email"])


def confirm(browser):
    return browser.post(reverse("two_factor:confirm"), {"code": CODE})


def change(browser):
    data = {"number": NEW, "password": PASSWORD}
    browser.post(reverse("two_factor:change"), data)
    return confirm(browser)


def recover(browser, user, used=0):
    *spent, code = RecoveryCode.objects.renew(user)[: used + 1]
    for other in spent:
        RecoveryCode.objects.use(user, other)
    return browser.post(reverse("two_factor:recover"), {"code": code})


def only_mail():
    [message] = mail.outbox
    return message


def html_of(message) -> str:
    [html] = [part.content for part in message.alternatives if part.mimetype == "text/html"]
    return html


def words_of(message) -> str:
    """Return the text, after making sure that the HTML says the same."""
    html = re.sub(r"<title>.*?</title>|<[^>]+>", " ", html_of(message))
    assert html.split() == message.body.split()
    return " ".join(message.body.split())


def test_a_new_number(awaiting_code, user):
    confirm(awaiting_code)
    assert only_mail().subject == "A phone number was added to your Pollstr account"
    assert only_mail().to == ["ada@example.com"]
    words = words_of(only_mail())
    assert "The number •••• ••23 was proven with a code, and now votes with your account." in words
    assert CHANGE_PASSWORD in words
    assert "ask whoever runs the site to remove the number" in words


def test_the_same_number_in_another_browser_is_no_news(signed_in, two_factor, vonage):
    signed_in.post(reverse("two_factor:create"))
    confirm(signed_in)
    assert mail.outbox == []


def test_another_number(verified, vonage):
    change(verified)
    assert only_mail().subject == "Your Pollstr account has another phone number"
    assert only_mail().to == ["ada@example.com"]
    words = words_of(only_mail())
    assert "Your account now votes with the number •••• ••88." in words
    assert CHANGE_PASSWORD in words


def test_a_number_removed(two_factor, user):
    call_command("two_factor_reset", user.username)
    assert only_mail().subject == "The phone number of your Pollstr account was removed"
    assert only_mail().to == ["ada@example.com"]
    words = words_of(only_mail())
    assert "your recovery codes are void" in words
    assert "If you did not, ask whoever runs the site why it was done" in words


@pytest.mark.parametrize(("used", "sentence"), [(0, "You have 9 more."), (9, "your last one.")])
def test_a_used_recovery_code(signed_in, two_factor, user, used, sentence):
    recover(signed_in, user, used)
    assert only_mail().subject == "A recovery code of your Pollstr account was used"
    assert only_mail().to == ["ada@example.com"]
    words = words_of(only_mail())
    assert sentence in words
    assert CHANGE_PASSWORD in words
    assert "Then make new recovery codes, which voids the old ones." in words


def test_a_lock(awaiting_code, vonage):
    vonage.check(400)
    for _ in range(12):
        confirm(awaiting_code)
    assert only_mail().subject == "Too many wrong codes for your Pollstr account"
    assert only_mail().to == ["ada@example.com"]
    words = words_of(only_mail())
    assert "your account takes no more of them for 10 minutes" in words
    assert CHANGE_PASSWORD in words


def test_a_failed_code_after_the_right_password(awaiting_code, vonage):
    vonage.check(400)
    confirm(awaiting_code)
    assert mail.outbox == []
    vonage.check(410)
    confirm(awaiting_code)
    assert only_mail().subject == "Wrong codes were typed for your Pollstr account"
    assert only_mail().to == ["ada@example.com"]
    words = words_of(only_mail())
    assert "Somebody signed in with your password, but did not know the code" in words
    assert CHANGE_PASSWORD in words


def test_a_change_mails_neither_number_nor_code(verified, vonage, user):
    change(verified)
    words = only_mail().body + html_of(only_mail())
    for secret in ["5550123", "5550188", CODE]:
        assert secret not in only_mail().message().as_string() + words
    # A boundary of the parts of a mail is of random digits, too.
    assert "555" not in words


def test_a_used_recovery_code_is_not_mailed(signed_in, two_factor, user):
    code = RecoveryCode.objects.renew(user)[0]
    signed_in.post(reverse("two_factor:recover"), {"code": code})
    text = only_mail().body + html_of(only_mail())
    assert code not in text
    assert code.replace("-", "") not in text


@pytest.mark.parametrize("name", EVENTS)
def test_each_says_to_whom_and_when(user, name):
    send(user, f"two_factor/mail/{name}")
    assert only_mail().body.startswith("Hello ada,\n\n")
    assert only_mail().body.strip().endswith("Pollstr, 1 June 2026, 12:00 UTC")
    assert "If you did not" in only_mail().body or "If it was not" in only_mail().body
    assert f"<title>{only_mail().subject}</title>" in html_of(only_mail())


@pytest.mark.parametrize("name", EVENTS)
def test_a_name_is_escaped_in_html_and_plain_in_text(user, name):
    user.username = "<b>Tom & Co</b>"
    send(user, f"two_factor/mail/{name}")
    assert "Hello <b>Tom & Co</b>," in only_mail().body
    assert "Hello &lt;b&gt;Tom &amp; Co&lt;/b&gt;," in html_of(only_mail())
    assert "<b>" not in html_of(only_mail())


def test_without_an_address_there_is_no_mail(awaiting_code, user):
    type(user).objects.update(email="")
    confirm(awaiting_code)
    assert mail.outbox == []
    assert VERIFIED in awaiting_code.session


@pytest.mark.django_db(transaction=True)
def test_trouble_with_mail_stops_no_proof(awaiting_code, no_mail_server, user, caplog):
    assert confirm(awaiting_code)["Location"] == "/polls/"
    assert VERIFIED in awaiting_code.session
    finish_mail()
    assert "The mail new_number could not be sent: ConnectionRefusedError" in caplog.text
    assert "ada@example.com" not in caplog.text


def test_trouble_with_mail_stops_no_change(verified, vonage, no_mail_server, user):
    assert change(verified)["Location"] == "/polls/"
    assert TwoFactor.objects.get(user=user).number == NEW


def test_trouble_with_mail_stops_no_recovery(signed_in, two_factor, no_mail_server, user):
    assert recover(signed_in, user)["Location"] == "/polls/"
    assert VERIFIED in signed_in.session


def test_trouble_with_mail_stops_no_lock(awaiting_code, vonage, no_mail_server):
    vonage.check(400)
    assert [confirm(awaiting_code).status_code for _ in range(11)] == [302] * 10 + [429]


def test_trouble_with_mail_stops_no_reset(two_factor, no_mail_server, user):
    call_command("two_factor_reset", user.username)
    assert TwoFactor.objects.get().number is None


@pytest.mark.parametrize("junk", ["ada", "ada@\n", "ada\nBcc: eve@example.com", "ä@@ö", "@" * 200])
def test_a_junk_address_stops_nobody(awaiting_code, user, junk):
    type(user).objects.update(email=junk)
    assert confirm(awaiting_code).status_code == 302
    assert VERIFIED in awaiting_code.session


@pytest.mark.django_db(transaction=True)
def test_what_is_rolled_back_is_not_mailed(no_mail_server, user, caplog):
    with transaction.atomic():
        send(user, "two_factor/mail/reset")
        transaction.set_rollback(True)
    finish_mail()
    assert caplog.text == ""


@pytest.mark.django_db(transaction=True)
def test_mail_that_would_wait_too_long_is_dropped_and_logged(
    no_mail_server, user, caplog, monkeypatch
):
    monkeypatch.setattr(places, "acquire", lambda blocking: False)
    send(user, "two_factor/mail/reset")
    assert "The mail reset was not sent: too many mails are waiting" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_a_fault_of_ours_in_a_mail_is_logged_without_its_words(no_mail_server, caplog):
    def fail():
        raise RuntimeError("ada@example.com")

    for _ in range(3):
        after_answer("reset", fail)
    finish_mail()
    assert caplog.text.count("The mail reset could not be sent: RuntimeError") == 3
    assert "ada@example.com" not in caplog.text


def test_mail_is_written_in_the_language_of_its_account(signed_in, user, two_factor, vonage):
    user.account.language = "de"
    user.account.save()
    signed_in.post(reverse("two_factor:create"), headers={"accept-language": "ar"})
    vonage.check(410)
    signed_in.post(reverse("two_factor:confirm"), {"code": CODE}, headers={"accept-language": "ar"})
    with translation.override("de"):
        assert only_mail().subject == translation.gettext(
            "Wrong codes were typed for your Pollstr account"
        )
    assert only_mail().subject != "Wrong codes were typed for your Pollstr account"
    assert 'lang="de"' in html_of(only_mail())


def test_to_an_account_without_a_language_the_site_writes_in_its_own(signed_in, two_factor, vonage):
    signed_in.post(reverse("two_factor:create"), headers={"accept-language": "ar"})
    vonage.check(410)
    signed_in.post(reverse("two_factor:confirm"), {"code": CODE}, headers={"accept-language": "ar"})
    assert only_mail().subject == "Wrong codes were typed for your Pollstr account"
