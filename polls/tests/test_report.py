"""Reporting a poll."""

from datetime import UTC, datetime

import pytest
from django.urls import reverse
from django.utils import timezone

from polls.models import Report
from polls.moderation import MOST_REPORTS, ReportForm
from two_factor.tests.factories import UserFactory

from . import people
from .factories import PollFactory
from .test_reach import TAKEN_AWAY

pytestmark = pytest.mark.django_db


@pytest.fixture
def poll():
    return PollFactory(question="Cheap watches?", author=UserFactory())


def report(browser, poll, reason="spam", words="It sells watches.", link=""):
    address = reverse("polls:report", args=[poll.pk], query={"link": link} if link else None)
    return browser.post(address, {"reason": reason, "words": words})


def page(browser, poll, link=""):
    address = reverse("polls:report", args=[poll.pk], query={"link": link} if link else None)
    return browser.get(address)


@pytest.mark.parametrize("name", ["ballot", "share"])
def test_the_pages_of_a_poll_lead_to_it(poll, name):
    address = poll.get_absolute_url() if name == "ballot" else reverse("share", args=[poll.slug])
    text = people.verified(poll).get(address).text
    assert f'<a href="/polls/{poll.pk}/report/" rel="nofollow">Report this poll</a>' in text


def test_it_asks_for_the_reason(poll):
    response = page(people.verified(poll), poll)
    assert response.status_code == 200
    assert "“Cheap watches?”" in response.text
    for reason in Report.Reason:
        assert reason.label.replace("'", "&#x27;") in response.text
    assert 'name="robots" content="noindex"' in response.text


def test_a_report_is_kept_with_reason_and_words_and_thanked(poll):
    browser = people.verified(poll)
    response = report(browser, poll)
    assert response["Location"] == f"/polls/{poll.pk}/"
    kept = Report.objects.get()
    assert (kept.poll, kept.reason, kept.words) == (poll, "spam", "It sells watches.")
    assert kept.reporter_id == int(browser.session["_auth_user_id"])
    assert kept.settled_at is None
    text = browser.get(response["Location"]).text
    assert "Thank you for the report. Somebody who runs this site will look at the poll." in text


def test_the_words_may_be_left_out(poll):
    report(people.verified(poll), poll, words="")
    assert Report.objects.get().words == ""


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        ("\u200b \u3164", ""),
        ("\u202eIt sells\u202c.", "It sells."),
        ("x\r\n" * 249 + "xx", "x\n" * 249 + "xx"),
    ],
    ids=["invisible", "turned", "lines"],
)
def test_words_are_kept_as_they_are_read(poll, words, kept):
    browser = people.verified(poll)
    assert "maxlength" not in page(browser, poll).text
    assert report(browser, poll, words=words).status_code == 302
    assert Report.objects.get().words == kept


def test_a_poll_goes_on_while_it_is_only_reported(poll):
    report(people.verified(poll), poll)
    assert poll.question in people.anonymous(poll).get(reverse("polls:list")).text


def test_a_second_report_says_so_kindly(poll):
    browser = people.verified(poll)
    report(browser, poll, reason="abuse")
    browser.get(poll.get_absolute_url())
    for response in (ask(browser, poll) for ask in [report, page]):
        assert response["Location"] == f"/polls/{poll.pk}/"
        assert "You have reported this poll." in browser.get(response["Location"]).text
    assert Report.objects.get().reason == "abuse"


def test_the_second_of_two_clicks_is_no_500(poll, monkeypatch):
    browser = people.verified(poll)
    report(browser, poll)
    monkeypatch.setattr("polls.moderation.ReportView.refuse_reporter", refuse_nobody)
    response = report(browser, poll)
    assert response["Location"] == f"/polls/{poll.pk}/"
    assert Report.objects.count() == 1


def refuse_nobody(view):
    view.object = view.get_object()


def test_others_may_report_it_too(poll):
    for _ in range(2):
        report(people.verified(poll), poll)
    assert Report.objects.count() == 2


def test_authors_do_not_report_their_own(poll):
    browser = people.author(poll)
    assert "Report this poll" not in browser.get(poll.get_absolute_url()).text
    for response in (ask(browser, poll) for ask in [page, report]):
        assert response["Location"] == f"/polls/{poll.pk}/"
        assert "This poll is your own" in browser.get(response["Location"]).text
    assert not Report.objects.exists()


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"reason": ""}, "Pick what is wrong with it."),
        ({"reason": "junk"}, "Select a valid choice."),
        ({"reason": "\0"}, "Select a valid choice."),
        ({"words": "x" * 501}, "at most 500 characters (it has 501)"),
        ({"words": "\0"}, "Null characters are not allowed."),
        ({"words": "Zalgo" + "\u0301" * 9}, "piles more than 6 marks on one letter"),
    ],
    ids=str,
)
def test_bad_input_is_said_and_what_was_typed_kept(poll, fields, sentence):
    browser = people.verified(poll)
    response = report(browser, poll, **{"words": "It <b>sells</b>."} | fields)
    assert response.status_code == 200
    assert sentence in response.text
    assert "<title>Error: Report this poll · Pollstr</title>" in response.text
    if "words" not in fields:
        assert "It &lt;b&gt;sells&lt;/b&gt;." in response.text
    assert not Report.objects.exists()


def test_a_day_has_only_so_many_reports(time_machine, poll):
    time_machine.move_to(datetime(2026, 6, 1, 18, tzinfo=UTC), tick=False)
    browser = people.verified(poll)
    for other in PollFactory.create_batch(MOST_REPORTS):
        assert report(browser, other).status_code == 302
    response = report(browser, poll)
    assert response.status_code == 429
    assert response["Retry-After"] == str(6 * 3600)
    assert "Please try again in 6 hours." in response.text
    assert "It sells watches." in response.text
    assert not poll.reports.exists()
    assert report(people.verified(poll), poll).status_code == 302
    time_machine.move_to(datetime(2026, 6, 2, 0, 1, tzinfo=UTC), tick=False)
    browser = people.verified(poll)
    assert report(browser, poll).status_code == 302


@pytest.mark.parametrize("fields", TAKEN_AWAY.values(), ids=TAKEN_AWAY)
@pytest.mark.parametrize("who", [people.verified, people.staff, people.author])
def test_what_was_taken_away_cannot_be_reported(fields, who):
    poll = PollFactory(author=UserFactory(), **fields)
    browser = who(poll)
    assert page(browser, poll).status_code == report(browser, poll).status_code == 404
    assert not Report.objects.exists()


def test_a_poll_by_link_is_reported_by_link():
    poll = PollFactory(author=UserFactory(), is_listed=False)
    browser = people.verified(poll)
    assert page(browser, poll).status_code == report(browser, poll).status_code == 404
    assert not Report.objects.exists()
    assert page(browser, poll, poll.slug).status_code == 200
    assert report(browser, poll, link=poll.slug)["Location"] == poll.get_absolute_url()
    assert Report.objects.count() == 1


def test_the_anonymous_sign_in_first_and_come_back(client, poll):
    for response in [page(client, poll), report(client, poll)]:
        assert response["Location"] == f"/login/?next=/polls/{poll.pk}/report/"
    assert not Report.objects.exists()


def test_the_not_verified_prove_their_phone_first(signed_in, poll):
    for response in [page(signed_in, poll), report(signed_in, poll)]:
        assert response["Location"] == f"/2fa/?next=%2Fpolls%2F{poll.pk}%2Freport%2F"
    assert not Report.objects.exists()


def test_the_gate_keeps_the_link(client):
    poll = PollFactory(is_listed=False)
    location = report(client, poll, link=poll.slug)["Location"]
    assert location == f"/login/?next=/polls/{poll.pk}/report/%3Flink%3D{poll.slug}"


def test_a_missing_poll_is_a_404(verified):
    assert verified.get("/polls/999/report/").status_code == 404


def test_it_takes_no_other_method(verified, poll):
    assert verified.put(reverse("polls:report", args=[poll.pk])).status_code == 405


def test_a_closed_poll_can_be_reported(poll):
    poll.closes_at = timezone.now()
    poll.save(update_fields=["closes_at"])
    assert report(people.verified(poll), poll).status_code == 302
    assert poll.reports.count() == 1


def test_the_form_asks_for_reason_and_words_alone():
    assert list(ReportForm().fields) == ["reason", "words", "writer"]


def test_line_ends_count_once_as_in_the_browser(poll):
    words = "\r\n".join(["a"] * 250)
    assert report(people.verified(poll), poll, words=words).status_code == 302
    assert Report.objects.get().words == "\n".join(["a"] * 250)
    assert report(people.verified(poll), poll, words=f"{words}\r\nab").status_code == 200


def test_reports_are_limited_by_internet_address_too(poll, monkeypatch):
    monkeypatch.setattr("polls.moderation.ADDRESS_REPORTS.most", 2)
    for _ in range(2):
        assert report(people.verified(poll), poll).status_code == 302
    response = report(people.verified(poll), poll)
    assert response.status_code == 429
    assert int(response["Retry-After"]) > 0
    assert "Too many reports came from your internet address." in response.text
    assert "It sells watches." in response.text
    assert Report.objects.count() == 2
