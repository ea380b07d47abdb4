"""That no page has a word of its own which could not be translated.

Here a German is spoken that has an accent on each vowel of our sentences. What people wrote is
Cyrillic. A word with plain vowels is then one that stands in the code, where no translator sees it.
"""

import json
import re
from datetime import timedelta
from html.parser import HTMLParser

import pytest
from django.core import mail
from django.db import OperationalError
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone
from django.utils.translation.trans_real import DjangoTranslation

from conftest import verify
from polls.history import TRASHED
from polls.models import Ballot, Change, Poll, Report
from polls.receipts import receipt_for
from polls.tests.factories import PollFactory
from polls.tests.making import typed, typed_locked
from two_factor import signals
from two_factor.history import Event
from two_factor.mail import send
from two_factor.models import Limit, TwoFactor, Verification
from two_factor.numbers import territory_names
from two_factor.recovery import RecoveryCode
from two_factor.tests.factories import TwoFactorFactory, UserFactory

from .catalogs import PLACEHOLDER, messages, path_of

pytestmark = pytest.mark.django_db
CYRILLIC = {"question": "Чай?", "choices": ["Чай", "Мёд"]}
ACCENTED = str.maketrans("aeiouAEIOU", "åéïøüÅÉÏØÜ")
KEPT = re.compile(rf"{PLACEHOLDER.pattern}|<[^>]*>|&\w+;")
WORD = re.compile(r"[^\W\d_]*[aeiouAEIOU][^\W\d_]*")
# Names, and what is typed or asked for by machines just so.
NAMES = {"Pollstr", "UTC", "JSON", "SHA"}
# Which are the same in German.
NAMES |= {"April", "August", "September", "November"}
# Countries come from Babel, in the language of the page.
NAMES |= {word for name in territory_names("de").values() for word in WORD.findall(name)}
FORMATS = {"j F Y, H:i", "j M Y, H:i"}
ATTRIBUTES = {"aria-label", "title", "placeholder", "alt"}
TEXTS = {"data-wait", "data-label", "data-copied", "data-texts"}
COUNTRY = re.compile("[A-Z]{2}")
# Placeholders, addresses, and the code of a receipt.
UNTOLD = re.compile(r"%\(\w+\)[sd]|\{\w+\}|\S*(?://|/p/|@)\S*|\w{6}(?:-\w{6}){3,7}")
SILENT = {"script", "style", "code", "select"}


def accented(text) -> str:
    pieces = KEPT.split(text)
    kept = [*KEPT.findall(text), ""]
    return "".join(
        piece.translate(ACCENTED) + mark for piece, mark in zip(pieces, kept, strict=True)
    )


@pytest.fixture(scope="session")
def own_texts():
    return {message.name for message in messages(path_of("de"))}


@pytest.fixture(autouse=True)
def accents(monkeypatch, own_texts):
    """Put accents on what our catalog has, and on what Django's own German has."""
    plain, plain_plural = DjangoTranslation.gettext, DjangoTranslation.ngettext

    def gettext(self, message):
        translated = plain(self, message)
        if self.language() != "de" or message in FORMATS:
            return translated
        is_told = message in own_texts or translated != message
        text = translated if translated != message else message.rpartition("\x04")[2]
        return accented(text) if is_told else translated

    def ngettext(self, one, many, number):
        translated = plain_plural(self, one, many, number)
        if self.language() != "de":
            return translated
        is_told = one in own_texts or translated not in {one, many}
        return accented(translated.rpartition("\x04")[2]) if is_told else translated

    # The address of a poll is no word.
    monkeypatch.setattr("polls.models.SLUG_ALPHABET", "bcdfg")
    monkeypatch.setattr(DjangoTranslation, "gettext", gettext)
    monkeypatch.setattr(DjangoTranslation, "ngettext", ngettext)


class Texts(HTMLParser):
    """Collects what a page says, and what it has scripts say."""

    def __init__(self):
        super().__init__()
        self.open, self.found = [], []

    def handle_starttag(self, tag, attrs):
        values = {name: value or "" for name, value in attrs}
        is_hidden = self.is_silent
        if tag not in {"meta", "link", "input", "img", "br", "rect", "path"}:
            self.open.append((tag, "languages" in values.get("class", "")))
        if is_hidden:
            return
        told = {name for name in values if name in ATTRIBUTES | TEXTS}
        if tag == "meta" and values.get("property") not in {"og:type", "og:site_name", "og:url"}:
            name = values.get("name", values.get("property", ""))
            told |= {"content"} if re.search("description|title|alt", name) else set()
        if values.get("type") == "submit" and "value" in values:
            told.add("value")
        for name in told:
            text = values[name]
            self.found.append(" ".join(said(json.loads(text))) if name == "data-texts" else text)

    def handle_endtag(self, tag):
        while self.open and self.open.pop()[0] != tag:
            pass

    def handle_data(self, data):
        if not self.is_silent:
            self.found.append(data)

    @property
    def is_silent(self):
        return any(tag in SILENT or is_choice for tag, is_choice in self.open)


def said(texts: dict):
    for text in texts.values():
        yield from [text] if isinstance(text, str) else [str(each) for each in text]


def plain_words(html: str, names=frozenset()) -> list[str]:
    parser = Texts()
    parser.feed(html)
    text = UNTOLD.sub(" ", " ".join(parser.found))
    found = set(WORD.findall(text)) - NAMES - names
    return sorted(word for word in found if not COUNTRY.fullmatch(word))


def assert_translatable(response, status=200, names=frozenset()):
    assert response.status_code == status, response
    assert plain_words(response.text, names) == []


@pytest.fixture
def stranger():
    return Client(headers={"accept-language": "de"})


@pytest.fixture
def author(stranger):
    """A browser in which somebody who makes polls has proven a phone."""
    two_factor = TwoFactorFactory(user=UserFactory(username="ждана"), number="+12025550123")
    stranger.force_login(two_factor.user)
    verify(stranger, two_factor)
    stranger.user, stranger.two_factor = two_factor.user, two_factor
    return stranger


@pytest.fixture
def newcomer(stranger):
    """A browser in which somebody is signed in who has proven no phone."""
    stranger.user = UserFactory(username="варя")
    stranger.force_login(stranger.user)
    return stranger


def poll_of(author=None, **fields):
    values = CYRILLIC | {"description": "Мёд."} | fields
    return PollFactory(**values | ({"author": author} if author else {}))


def later(days=1):
    return timezone.now() + timedelta(days=days)


POLLS = {
    "open": {},
    "ends": {"closes_at": later()},
    "upcoming": {"opens_at": later()},
    "closed": {"closes_at": later(-1)},
    "several": {"max_choices": 2},
    "final": {"may_change": False},
    "voters": {"results_for": "voters"},
    "after_close": {"results_for": "after_close"},
    "author": {"results_for": "author"},
    "public": {"results_for": "everyone"},
    "draft": {"published_at": None},
    "hidden": {"hidden_because": "Мёд!"},
    "by link": {"is_listed": False},
}


def test_a_word_without_an_accent_is_found():
    page = '<p>ïn <b>Søfï</b> Пётр</p><img alt="bare"><code>no</code>'
    assert plain_words(page) == ["bare"]


@pytest.mark.parametrize(
    "path",
    [
        *[
            "/polls/",
            "/polls/?show=upcoming",
            "/polls/?show=closed",
            "/polls/?q=мёд",
            "/polls/?q=--",
        ],
        *["/login/", "/register/", "/password_reset/", "/password_reset/done/", "/reset/done/"],
        *["/reset/x/y/", "/2fa/limits/", "/login/?next=/polls/1/%3Fchoice%3D1"],
    ],
)
@pytest.mark.parametrize("is_empty", [True, False])
def test_pages_for_strangers(stranger, path, is_empty):
    if not is_empty:
        for name in ["open", "ends", "upcoming", "closed"]:
            poll_of(**POLLS[name])
    assert_translatable(stranger.get(path))


def test_a_list_of_many_pages_and_a_search_for_many_words(stranger):
    for _ in range(21):
        poll_of()
    assert_translatable(stranger.get("/polls/"))
    assert_translatable(stranger.get("/polls/?page=2"))
    assert_translatable(stranger.get("/polls/", {"q": "мёд " * 30}))


@pytest.mark.parametrize("name", POLLS)
@pytest.mark.parametrize("page", ["ballot", "results", "integrity", "share", "print", "report"])
@pytest.mark.parametrize("who", ["voter", "other", "author", "anonymous"])
def test_pages_of_a_poll(author, name, page, who):
    poll = poll_of(author.user if who == "author" else None, **POLLS[name])
    if who == "voter" and poll.is_open:
        Ballot.objects.cast(poll, "+12025550123", [poll.choices.first().pk])
        Ballot.objects.cast(poll, "+12025550124", [poll.choices.last().pk])
        poll.note_change(TRASHED)
    if who == "anonymous":
        author.logout()
    url = reverse(page, args=[poll.slug]) if page in {"share", "print"} else poll.url(page)
    response = author.get(url, follow=True)
    assert_translatable(response, response.status_code)
    assert response.status_code in {200, 403, 404}


def test_the_ways_of_a_vote(author):
    poll, final = poll_of(max_choices=2), poll_of(may_change=False)
    several, closed = poll_of(min_choices=2, max_choices=2), poll_of(**POLLS["closed"])
    upcoming = poll_of(**POLLS["upcoming"])
    for other, choices in [(poll, []), (poll, ["0"]), (several, [several.choices.first().pk])]:
        assert_translatable(author.post(other.url("vote"), {"choice": choices}))
    for other, statuses in [(closed, [409]), (upcoming, [409]), (final, [302, 409])]:
        # Another vote than before: the same one sent again has the same answer.
        for status, choice in zip(statuses, other.choices.all(), strict=False):
            response = author.post(other.url("vote"), {"choice": choice.pk})
            assert_translatable(response, status)
    for _ in range(2):
        response = author.post(poll.url("vote"), {"choice": poll.choices.first().pk}, follow=True)
        assert_translatable(response)
        receipt = receipt_for(Ballot.objects.get(poll=poll))
        assert_translatable(author.get(reverse("receipt", args=[receipt])))
    Ballot.objects.cast(poll, "+12025550123", [poll.choices.last().pk])
    assert_translatable(author.get(reverse("receipt", args=[receipt])))
    assert_translatable(author.get("/account/"))


def test_who_is_level(author):
    for number in [2, 3, 4]:
        poll = poll_of(choices=["Чай", "Мёд", "Сыр", "Кот"][:number])
        for n, choice in enumerate(poll.choices.all()):
            Ballot.objects.cast(poll, f"+1202555014{n}", [choice.pk])
        assert_translatable(author.get(poll.url("results")))


WRONG = [
    {"question": "", "choices": [""], "time_zone": "x", "max_choices": "x"},
    {"choices": ["Чай", "Чай"], "max_choices": "99", "min_choices": "0"},
    {"choices": ["Чай"] * 51, "closes_at": "x", "opens_at": "1900-01-01T10:00"},
    {"choices": ["Ч" * 300, "М\0"], "min_choices": "2", "closes_at": "2020-01-01T10:00"},
    {"max_choices": "5", "opens_at": "2099-01-01T10:00", "closes_at": "2098-01-01T10:00"},
    {"time_zone": "Europe/Berlin", "closes_at": "2030-03-31T02:30"},
    {"time_zone": "Europe/Berlin", "closes_at": "2030-10-27T02:30"},
    {"question": "Ч" * 300, "more": "1"},
    {"description": "Ч" * 6000, "results_for": "x"},
]


@pytest.mark.parametrize("fields", WRONG, ids=str)
def test_the_form_of_a_poll_with_errors(author, fields):
    assert_translatable(author.get(reverse("polls:new")))
    names = {"Europe", "Berlin"}
    response = author.post(reverse("polls:new"), typed(**CYRILLIC | fields))
    assert_translatable(response, names=names)


def test_making_and_keeping_polls(author, settings):
    new = reverse("polls:new")
    for fields in [{}, {"publish": "1"}, {"publish": "1", "opens_at": "2099-01-01T10:00"}]:
        assert_translatable(author.post(new, typed(**CYRILLIC | fields), follow=True))
    settings.POLLS_PER_DAY = 1
    assert_translatable(author.post(new, typed(**CYRILLIC)), 429)
    poll = Poll.objects.filter(published_at__isnull=False).first()
    assert_translatable(author.post(reverse("polls:copy", args=[poll.pk])), 429)


def test_what_happens_to_polls(author):
    def at(name, poll):
        return reverse(f"polls:{name}", args=[poll.pk])

    own = {name: poll_of(author.user, **fields) for name, fields in POLLS.items()}
    poll = own["open"]
    Ballot.objects.cast(poll, "+12025550123", [poll.choices.first().pk])
    for name in ["edit", "close", "trash"]:
        assert_translatable(author.get(at(name, poll)))
        assert_translatable(author.get(at(name, own["draft"]), follow=True))
    for name in ["edit", "reopen"]:
        assert_translatable(author.get(at(name, own["closed"]), follow=True))
        assert_translatable(author.get(at(name, poll), follow=True))
    for name in ["publish", "close", "reopen", "reopen", "copy", "trash", "restore"]:
        form = {"closes_at": "2099-01-01T10:00", "reason": "Мёд."}
        assert_translatable(author.post(at(name, poll), form, follow=True))
        if name == "reopen":
            poll = own["ends"]
    assert_translatable(author.post(at("reopen", own["closed"]), {"closes_at": "x"}))
    late = {"closes_at": "2020-01-01T10:00", "reason": "Ч" * 400}
    assert_translatable(author.post(at("reopen", own["closed"]), late))
    own["closed"].voters_forgotten_at = timezone.now()
    own["closed"].save()
    assert_translatable(author.post(at("reopen", own["closed"]), late, follow=True))
    Poll.objects.filter(pk=own["draft"].pk).update(opens_at=later(-9), closes_at=later(-1))
    assert_translatable(author.post(at("publish", own["draft"]), follow=True))


def test_what_may_change_after_the_first_vote(author):
    poll = poll_of(author.user, closes_at=later(9))
    Ballot.objects.cast(poll, "+12025550123", [poll.choices.first().pk])
    edit = reverse("polls:edit", args=[poll.pk])
    for fields in [
        {"question": "Совсем другой вопрос?"},
        {"choices": ["Чай"]},
        {"choices": ["Чай", ""]},
        {"closes_at": ""},
        {"closes_at": "2029-01-01T10:00", "opens_at": "2028-01-01T10:00"},
        {"closes_at": f"{later(2):%Y-%m-%dT%H:%M}"},
    ]:
        assert_translatable(author.post(edit, typed_locked(poll, **fields)))
    mended = {"question": "Чай!", "closes_at": "2099-01-01T10:00", "is_listed": None}
    mended |= {"results_for": "everyone"}
    assert_translatable(author.post(edit, typed_locked(poll, **mended), follow=True))
    poll.refresh_from_db()
    poll.trash()
    poll.restore()
    poll.close()
    poll.reopen(later(3), "Мёд.")
    assert Change.objects.count() == 6
    assert_translatable(author.get(poll.url("integrity")))


@pytest.mark.parametrize("kind", ["open", "upcoming", "closed", "drafts", "trash"])
@pytest.mark.parametrize("number", [0, 1, 21])
def test_my_polls(author, kind, number):
    fields = POLLS.get(kind.removesuffix("s"), {"trashed_at": timezone.now()})
    for _ in range(number):
        poll = poll_of(author.user, **fields)
    if number == 1:
        Ballot.objects.create(poll=poll, mark="x", cast_at=timezone.now())
        Poll.objects.filter(pk=poll.pk).update(hidden_because="Мёд.")
    assert_translatable(author.get(reverse("polls:mine"), {"show": kind}))


def test_reports(author, monkeypatch):
    poll = poll_of()
    assert_translatable(author.post(poll.url("report"), {"words": "Ч" * 600}))
    monkeypatch.setattr("polls.moderation.MOST_REPORTS", 0)
    assert_translatable(author.post(poll.url("report"), {"reason": "spam"}), 429)
    monkeypatch.setattr("polls.moderation.MOST_REPORTS", 1)
    Limit.objects.all().delete()
    for _ in range(2):
        response = author.post(poll.url("report"), {"reason": "spam"}, follow=True)
        assert_translatable(response)
    own = poll_of(author.user)
    assert_translatable(author.get(own.url("report"), follow=True))


@pytest.mark.parametrize(
    "path",
    [
        *["/account/", "/account/email/", "/account/delete/", "/password_change/", "/2fa/"],
        *["/2fa/change/", "/2fa/recover/", "/2fa/recovery-codes/", "/password_change/done/"],
    ],
)
def test_pages_of_an_account(author, path):
    assert_translatable(author.get(path))
    if path not in {"/2fa/", "/password_change/done/", "/account/"}:
        response = author.post(path, {}, follow=True)
        codes = set(WORD.findall(" ".join(response.context.get("codes") or [])))
        assert_translatable(response, names=codes)


def test_the_history_of_an_account(author):
    for kind in Event.Kind:
        Event.objects.create(user=author.user, kind=kind, number="•••• ••23")
    RecoveryCode.objects.renew(author.user)
    assert_translatable(author.get("/account/"))


def test_a_mail_that_cannot_be_sent(author, no_mail_server):
    author.user.set_password("мёд и чай 1")
    author.user.save()
    author.force_login(author.user)
    verify(author, author.two_factor)
    new = {"email": "test@example.com", "password": "мёд и чай 1"}
    assert_translatable(author.post("/account/email/", new, follow=True))


def change_the_address(author):
    for email in ["", "мёд", "test@example.com"]:
        new = {"email": email, "password": "мёд и чай 1"}
        assert_translatable(author.post("/account/email/", new, follow=True))
    [link] = re.findall("http://testserver(/account/email/.*)", mail.outbox[-1].body)
    assert plain_words(f"<p>{mail.outbox[-1].subject} {mail.outbox[-1].body}") == []
    assert_translatable(author.get(link))
    assert_translatable(author.post(link, follow=True))
    assert_translatable(author.get(link))
    for email in ["test@example.com", ""]:
        new = {"email": email, "password": "мёд и чай 1"}
        assert_translatable(author.post("/account/email/", new, follow=True))


def test_wrong_passwords_and_names(author):
    wrong = {"old_password": "x", "new_password1": "x", "new_password2": "y", "password": "x"}
    wrong |= {"number": "+12025550123"}
    for path in ["/password_change/", "/account/email/", "/account/delete/", "/2fa/change/"]:
        for _ in range(11):
            response = author.post(path, wrong)
        assert_translatable(response, response.status_code)
    author.user.is_superuser = True
    author.user.set_password("мёд и чай 1")
    author.user.save()
    author.force_login(author.user)
    verify(author, author.two_factor)
    Limit.objects.all().delete()
    change_the_address(author)
    assert_translatable(author.post("/account/delete/", {"password": "мёд и чай 1"}), 429)
    author.user.two_factor.forgive()
    assert_translatable(author.post("/account/delete/", {"password": "мёд и чай 1"}))
    author.user.is_superuser = False
    author.user.save()
    assert_translatable(author.post("/account/delete/", {"password": "мёд и чай 1"}, follow=True))


def test_signing_in_and_registering(stranger):
    UserFactory(username="ждана", email="test@example.com")
    for fields in [{}, {"username": "ждана", "password": "x"}]:
        assert_translatable(stranger.post("/login/", fields))
    for _ in range(25):
        response = stranger.post("/login/", {"username": "ждана", "password": "x"})
    assert_translatable(response, 429)
    for password in ["x", "12345678", "password", "ждана"]:
        fields = {"username": "ждана", "password1": password, "password2": password, "email": "x"}
        assert_translatable(stranger.post("/register/", fields))
        assert_translatable(
            stranger.post("/register/", fields | {"username": "? ?", "password2": "y"})
        )
    assert_translatable(stranger.post("/password_reset/", {"email": "x"}))


def test_too_many_accounts(stranger, monkeypatch):
    monkeypatch.setattr("pollstr.accounts.REGISTRATIONS_PER_CODE", 0)
    assert_translatable(stranger.post("/register/", {}), 429)


def test_a_new_password(stranger):
    user = UserFactory(username="ждана", email="test@example.com")
    assert_translatable(stranger.post("/password_reset/", {"email": user.email}, follow=True))
    [link] = re.findall("http://testserver(/reset/.*)", mail.outbox[0].body)
    assert_translatable(stranger.get(link, follow=True))
    form = stranger.get(link)["Location"]
    assert_translatable(stranger.post(form, {"new_password1": "x", "new_password2": "y"}))


def test_where_nothing_is_sent(newcomer, author, settings):
    settings.SENDS_MAIL = False
    assert_translatable(newcomer.get("/password_reset/"))
    assert_translatable(newcomer.get("/account/email/"))
    assert_translatable(author.get("/2fa/change/"))


def test_while_voting_is_paused(newcomer):
    assert_translatable(newcomer.get("/2fa/"))


NUMBERS = [
    "",
    "x",
    "123",
    "+1 202 555",
    "+1 900 555 0123",
    "+49 30 901820",
    "5" * 50,
    "+12025550123x5",
]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_that_is_not_taken(newcomer, sandbox, number):
    assert_translatable(newcomer.get("/2fa/?next=/polls/1/%3Fchoice%3D1"))
    response = newcomer.post("/2fa/create/", {"number": number}, follow=True)
    assert_translatable(response)


def test_proving_a_phone(newcomer, sandbox):
    verify_page = "/2fa/verify/"
    assert_translatable(newcomer.post("/2fa/create/", {"number": "+12025550123"}, follow=True))
    assert_translatable(newcomer.post("/2fa/create/", {"number": "+12025550123"}, follow=True))
    assert_translatable(newcomer.post("/2fa/create/", {"number": "+12025550124"}), 429)
    Verification.objects.update(is_undelivered=True)
    assert_translatable(newcomer.get(verify_page))
    for code in ["", "x", "12", "1" * 60, "000000"]:
        assert_translatable(newcomer.post("/2fa/confirm/", {"code": code}, follow=True))
    for step in ["call", "resend", "resend"]:
        response = newcomer.post(f"/2fa/{step}/", follow=True)
        assert_translatable(response, response.status_code)
        newcomer.user.two_factor.row().update(next_send_at=None)
        assert_translatable(newcomer.get(verify_page, follow=True))
    code = re.search('id="sandbox-code">([0-9]+)', newcomer.get(verify_page).text)
    assert_translatable(newcomer.post("/2fa/confirm/", {"code": code[1]}, follow=True))
    assert_translatable(newcomer.post("/2fa/confirm/", {"code": code[1]}, follow=True))


def test_recovering(author):
    codes = RecoveryCode.objects.renew(author.user)
    session = author.session
    session.pop("verified")
    session.save()
    assert_translatable(author.get("/2fa/"))
    for code in ["", "x", "x" * 24, "x" * 99]:
        assert_translatable(author.post("/2fa/recover/", {"code": code}, follow=True))
    for _ in range(11):
        response = author.post("/2fa/recover/", {"code": "x" * 24})
    assert_translatable(response, 429)
    assert_translatable(author.post("/2fa/recover/", {"code": codes[0]}, follow=True))


def test_errors(stranger, author, monkeypatch):
    assert_translatable(stranger.get("/nowhere/"), 404)
    assert_translatable(stranger.get("/language/"), 405)
    assert_translatable(author.get("/admin/", follow=True), 403)
    assert_translatable(stranger.get("/polls/", headers={"host": "x.example"}), 400)
    strict = Client(enforce_csrf_checks=True, headers={"accept-language": "de"})
    assert_translatable(strict.post("/login/", {"next": "/polls/"}), 403)


@pytest.mark.parametrize(("error", "status"), [(RuntimeError, 500), (OperationalError, 503)])
def test_faults(stranger, monkeypatch, error, status):
    def fail(self):
        raise error

    monkeypatch.setattr("polls.listing.PollListView.rows", fail)
    stranger.raise_request_exception = False
    assert_translatable(stranger.get("/polls/"), status)


def test_mails(author, settings):
    author.user.email = "test@example.com"
    author.user.save()
    told = {"sender": TwoFactor, "user": author.user, "request": RequestFactory().post("/")}
    author.user.account.language = "de"
    author.user.account.save()
    signals.phone_verified.send(**told, is_new=True)
    signals.phone_changed.send(**told)
    signals.phone_locked.send(**told)
    signals.phone_failed.send(**told)
    signals.recovery_code_used.send(**told, left=0)
    signals.recovery_code_used.send(**told, left=2)
    send(author.user, "registration/mail/email_changed")
    send(author.user, "registration/mail/password_changed")
    assert len(mail.outbox) == 8
    for message in mail.outbox:
        assert plain_words(f"<p>{message.subject} {message.body}") == []
        assert '<html lang="de" dir="ltr">' in message.alternatives[0].content


# Which Django's German lacks, or has the same.
DJANGOS = {"Filter", "Pagination", "Run", "Search", "True", "False"}
ADMIN = [
    *["/admin/", "/admin/today/", "/admin/polls/poll/", "/admin/polls/report/"],
    *["/admin/polls/poll/add/", "/admin/two_factor/event/", "/admin/two_factor/twofactor/"],
]


@pytest.mark.parametrize("path", ADMIN)
def test_the_administration(author, path):
    author.user.is_staff = author.user.is_superuser = True
    author.user.save()
    poll = poll_of(author.user)
    for name in ["hidden", "draft", "closed", "upcoming", "by link"]:
        poll_of(**POLLS[name])
    Report.objects.create(poll=poll, reporter=author.user, reason="spam", words="Мёд.")
    for kind in Event.Kind:
        Event.objects.create(user=author.user, kind=kind, channel="sms", region="D")
    assert_translatable(author.get(path), names=DJANGOS)


def test_hiding_in_the_administration(author):
    author.user.is_staff = author.user.is_superuser = True
    author.user.save()
    chosen = {"action": "hide", "_selected_action": poll_of().pk}
    assert_translatable(author.post("/admin/polls/poll/", chosen))
    chosen["because"] = "Мёд."
    hidden = author.post("/admin/polls/poll/", chosen, follow=True)
    assert_translatable(hidden, names=DJANGOS)
    chosen["action"] = "show_again"
    assert_translatable(author.post("/admin/polls/poll/", chosen, follow=True), names=DJANGOS)
