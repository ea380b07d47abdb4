import csv
import html
import re
from datetime import UTC, datetime, timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from polls.models import Ballot, Figure, Poll
from two_factor.tests.factories import UserFactory

from .factories import PollFactory

pytestmark = pytest.mark.django_db
MINE, CSV = reverse("polls:mine"), reverse("polls:mine_csv")
PAST, FUTURE = datetime(2026, 1, 2, tzinfo=UTC), datetime(2126, 1, 2, tzinfo=UTC)
KINDS = {
    "open": {},
    "upcoming": {"opens_at": FUTURE},
    "closed": {"closes_at": PAST},
    "drafts": {"published_at": None},
    "trash": {"trashed_at": timezone.now()},
}


def make_one_of_each_kind(author):
    return {show: PollFactory(author=author, question=show, **KINDS[show]) for show in KINDS}


def get(browser, **query):
    return browser.get(MINE, query)


def questions(response):
    return [poll.question for poll in response.context["polls"]]


def links(text):
    return {part.split('"')[0] for part in text.split('href="')[1:]}


@pytest.mark.parametrize("show", KINDS)
def test_it_shows_the_polls_of_one_kind(verified, user, show):
    make_one_of_each_kind(user)
    response = get(verified, show=show)
    assert questions(response) == [show]
    assert f'href="?show={show}" aria-current="page"' in response.text


@pytest.mark.parametrize("show", [None, "", "junk", "\0", "OPEN"])
def test_open_ones_come_first(verified, user, show):
    make_one_of_each_kind(user)
    assert questions(get(verified, **{"show": show} if show is not None else {})) == ["open"]


def test_it_shows_nobody_elses(verified):
    PollFactory()
    PollFactory(author=UserFactory())
    assert questions(get(verified)) == []


def test_staff_see_their_own_here(user, verified):
    user.is_staff = True
    user.save()
    PollFactory(question="Another's?")
    PollFactory(question="Mine?", author=user)
    assert questions(get(verified)) == ["Mine?"]


def test_it_shows_votes_and_what_happened_on_the_way(verified, user):
    poll = PollFactory(author=user)
    for number in ["+12025550123", "+12025550124"]:
        Ballot.objects.cast(poll, number, [poll.choices.first().pk])
    counts = {"sent": 8, "proven": 3, "failed": 5, "repeated": 6, "late": 7}
    for kind, count in counts.items():
        Figure.objects.create(poll=poll, kind=kind, count=count)
    text = get(verified).text
    for name, number in {
        "Votes": "2",
        "Codes sent": "8",
        "Phones proven": "3",
        "Proven per code": "37.5 %",
        "Wrong codes": "5",
        "Refused repeats": "6",
        "Too late": "7",
    }.items():
        assert f"<dt>{name}</dt><dd>{number}</dd>" in text


def test_without_a_code_there_is_no_conversion(verified, user):
    PollFactory(author=user)
    text = get(verified).text
    assert "<dt>Votes</dt><dd>0</dd>" in text
    assert "<dt>Proven per code</dt><dd>–</dd>" in text


def test_a_hidden_poll_is_shown_with_the_reason(verified, user):
    PollFactory(author=user, hidden_because="It advertises <b>something</b>.")
    assert (
        "Their reason: <bdi>It advertises &lt;b&gt;something&lt;/b&gt;.</bdi>" in get(verified).text
    )


@pytest.mark.parametrize(
    ("show", "pages"),
    [
        ("open", ["results", "edit", "close", "trash"]),
        ("upcoming", ["edit", "trash"]),
        ("closed", ["results", "edit", "reopen", "trash"]),
        ("drafts", ["edit", "trash"]),
        ("trash", []),
    ],
)
def test_each_kind_has_its_ways_on(verified, user, show, pages):
    poll = make_one_of_each_kind(user)[show]
    found = links(get(verified, show=show).text)
    expected = {reverse(f"polls:{page}", args=[poll.pk]) for page in pages}
    assert {link for link in found if link.startswith(f"/polls/{poll.pk}/")} == expected
    assert (f"/p/{poll.slug}/" in found) == (show != "trash")
    for link in expected:
        assert verified.get(link).status_code == 200


@pytest.mark.parametrize(
    ("show", "actions"),
    [
        ("open", ["copy"]),
        ("upcoming", ["copy"]),
        ("closed", ["copy"]),
        ("drafts", ["copy", "publish"]),
        ("trash", ["restore"]),
    ],
)
def test_each_kind_has_its_buttons(verified, user, show, actions):
    poll = make_one_of_each_kind(user)[show]
    text = get(verified, show=show).text
    for action in ["copy", "publish", "restore"]:
        form = f'action="/polls/{poll.pk}/{action}/"'
        assert (form in text) == (action in actions)


def test_the_trash_tells_until_when_and_which_votes(verified, user):
    poll = PollFactory(author=user)
    Ballot.objects.cast(poll, "+12025550123", [poll.choices.first().pk])
    Poll.objects.update(trashed_at=timezone.now())
    poll.refresh_from_db()
    end = poll.moment(poll.trashed_at + timedelta(days=30))
    text = get(verified, show="trash").text
    assert f"Will be deleted for good on {end}, with its 1 vote." in text


def test_what_cannot_be_restored_is_not_shown(verified, user):
    PollFactory(author=user, trashed_at=timezone.now() - timedelta(days=30))
    assert questions(get(verified, show="trash")) == []


@pytest.mark.parametrize(
    ("show", "sentence"),
    [
        ("open", "None of your polls is open. Make one"),
        ("upcoming", "None of your polls is waiting to open."),
        ("closed", "None of your polls has closed yet."),
        ("drafts", "You have no drafts. Save a poll as a draft"),
        ("trash", "The trash is empty."),
    ],
)
def test_an_empty_list_says_what_to_do(verified, show, sentence):
    text = get(verified, show=show).text
    assert sentence in text
    assert 'href="/polls/new/"' in text


def test_the_newest_come_first(verified, user):
    for day in [2, 3, 1]:
        opens_at = datetime(2026, 1, day, tzinfo=UTC)
        PollFactory(author=user, question=f"Day {day}", opens_at=opens_at)
    assert questions(get(verified)) == ["Day 3", "Day 2", "Day 1"]


def test_paging_keeps_the_kind(verified, user):
    PollFactory.create_batch(21, author=user, closes_at=PAST)
    first = get(verified, show="closed")
    assert len(questions(first)) == 20
    assert 'rel="next" href="?show=closed&amp;page=2&amp;before=' in first.text
    assert len(questions(get(verified, show="closed", page=2))) == 1
    assert get(verified, show="closed", page=3).status_code == 404


@pytest.mark.parametrize("polls", [1, 3])
@pytest.mark.parametrize("show", KINDS)
def test_queries_do_not_grow_with_the_polls(verified, user, django_assert_num_queries, polls, show):
    for poll in PollFactory.create_batch(polls, author=user, **KINDS[show]):
        Figure.note(poll, Figure.Kind.SENT)
    # Session, user with second factor; polls with their votes, figures.
    with django_assert_num_queries(4):
        assert len(questions(get(verified, show=show))) == polls


def lines(response):
    text = b"".join(response.streaming_content).decode("utf-8-sig")
    return list(csv.DictReader(text.splitlines()))


def test_the_export_has_a_line_for_each_poll(verified, user):
    polls = make_one_of_each_kind(user)
    PollFactory(question="Another's?")
    poll = polls["open"]
    Ballot.objects.cast(poll, "+12025550123", [poll.choices.first().pk])
    Figure.objects.create(poll=poll, kind="sent", count=3)
    Figure.objects.create(poll=poll, kind="proven", count=1)
    response = verified.get(CSV)
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert re.fullmatch(
        r'attachment; filename="polls-\d{4}-\d\d-\d\d\.csv"', response["Content-Disposition"]
    )
    rows = lines(response)
    assert [row["kind"] for row in rows] == list(KINDS)
    assert rows[0] == {
        "id": str(poll.pk),
        "question": "open",
        "kind": "open",
        "opens_at": "2026-01-01T00:00:00+00:00",
        "closes_at": "",
        "votes": "1",
        "codes_sent": "3",
        "phones_proven": "1",
        "wrong_codes": "0",
        "repeats_refused": "0",
        "late_refused": "0",
        "conversion": "0.3333",
    }
    assert rows[2]["closes_at"] == "2026-01-02T00:00:00+00:00"
    assert rows[1]["conversion"] == ""


@pytest.mark.parametrize("question", ["=1+1", "+1+1", "-a", "@a", "＝1+1"])
def test_the_export_holds_no_formula(verified, user, question):
    PollFactory(author=user, question=question)
    assert lines(verified.get(CSV))[0]["question"] == f"'{question}"


def test_the_share_of_proven_phones_is_rounded_as_results_are(verified, user):
    poll = PollFactory(author=user)
    Figure.objects.create(poll=poll, kind="sent", count=3000)
    Figure.objects.create(poll=poll, kind="proven", count=2999)
    assert "&gt; 99.9 %" in get(verified).text
    assert lines(verified.get(CSV))[0]["conversion"] == "0.9997"


def test_an_empty_export_has_its_header(verified):
    assert b"".join(verified.get(CSV).streaming_content).startswith(
        b"\xef\xbb\xbfid,question,kind,"
    )


@pytest.mark.parametrize("polls", [1, 30])
def test_the_exports_queries_do_not_grow(verified, user, django_assert_num_queries, polls):
    for poll in PollFactory.create_batch(polls, author=user):
        Figure.note(poll, Figure.Kind.SENT)
    with django_assert_num_queries(4):
        assert len(lines(verified.get(CSV))) == polls


def test_the_export_is_made_as_it_is_sent(verified, user, django_assert_num_queries):
    PollFactory.create_batch(3, author=user)
    with django_assert_num_queries(2):
        response = verified.get(CSV)
    assert next(iter(response.streaming_content)).startswith(b"\xef\xbb\xbfid,")


@pytest.mark.parametrize("url", [MINE, CSV, f"{MINE}?show=drafts"])
def test_the_anonymous_and_the_unverified_are_led_through_the_gate(client, user, url):
    quoted = url.replace("?", "%3F").replace("=", "%3D")
    assert client.get(url)["Location"] == f"/login/?next={quoted}"
    client.force_login(user)
    assert client.get(url)["Location"] == f"/2fa/?next={quoted.replace('/', '%2F')}"


@pytest.mark.parametrize("url", [MINE, CSV])
def test_they_can_only_be_read(verified, url):
    assert verified.post(url).status_code == 405


@pytest.mark.parametrize("show", ["open", "closed", "drafts", "trash"])
def test_no_poll_is_skipped_when_others_leave_the_list(verified, user, show):
    fields = {
        "closed": {"closes_at": timezone.now()},
        "drafts": {"published_at": None},
        "trash": {"trashed_at": timezone.now()},
    }.get(show, {})
    polls = [PollFactory(question=f"Tea {n}?", author=user, **fields) for n in range(45)]
    expected = [poll.question for poll in reversed(polls)]
    page, seen = get(verified, show=show), []
    for _ in range(3):
        seen += questions(page)
        Poll.objects.filter(question__in=seen[:2]).delete()
        following = re.search('rel="next" href="([^"]*)"', page.text)
        if following:
            page = verified.get(reverse("polls:mine") + html.unescape(following[1]))
    assert seen == expected
    assert not following
    assert 'rel="prev"' in page.text


@pytest.mark.parametrize(
    "query", [{"page": "9" * 20}, {"page": "2"}, {"before": "x"}, {"after": "1-" + "9" * 20}]
)
def test_a_page_that_is_not_there_is_a_404(verified, query):
    assert get(verified, **query).status_code == 404
