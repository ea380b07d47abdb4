"""What staff do about reports: the queue, hiding a poll with a reason, and showing it again."""

import pytest
from django.contrib.admin.models import LogEntry
from django.core import mail
from django.urls import reverse

from polls.models import Ballot, Poll, Report
from polls.moderation import hide, show_again
from two_factor.tests.factories import UserFactory
from two_factor.tests.test_mail import words_of

from . import people
from .factories import PollFactory

pytestmark = pytest.mark.django_db
QUEUE = reverse("admin:polls_report_changelist")
POLLS = reverse("admin:polls_poll_changelist")


@pytest.fixture
def poll():
    author = UserFactory(username="eve", email="eve@example.com")
    return PollFactory(question="Cheap <b>watches</b>?", author=author)


@pytest.fixture
def staff(poll):
    return people.staff(poll)


def report(poll, words="It sells <i>watches</i>.", **fields):
    reporter = UserFactory(username=f"reporter{Report.objects.count()}")
    return Report.objects.create(poll=poll, reporter=reporter, reason="spam", words=words, **fields)


def act(browser, url, action, *rows, **fields):
    data = {"action": action, "_selected_action": [row.pk for row in rows]} | fields
    return browser.post(url, data, follow=True)


def logged():
    return [(entry.object_id, entry.change_message) for entry in LogEntry.objects.all()]


def is_listed(poll):
    text = people.anonymous(poll).get(reverse("polls:list")).text
    return "Cheap &lt;b&gt;watches&lt;/b&gt;?" in text


def test_the_queue_tells_reason_words_and_poll_and_no_reporter(staff, poll):
    report(poll)
    text = staff.get(QUEUE).text
    assert "It advertises something, or is spam" in text
    assert "It sells &lt;i&gt;watches&lt;/i&gt;." in text
    assert f'<a href="/polls/{poll.pk}/">Cheap &lt;b&gt;watches&lt;/b&gt;?</a>' in text
    assert "reporter0" not in text
    detail = staff.get(reverse("admin:polls_report_change", args=[Report.objects.get().pk])).text
    assert "It sells &lt;i&gt;watches&lt;/i&gt;." in detail
    assert "reporter0" not in detail


def test_the_poll_with_most_reports_comes_first(staff, poll):
    other = PollFactory(question="Reported twice?")
    for reported in [poll, other, other]:
        report(reported)
    text = staff.get(QUEUE).text
    assert text.count('<td class="field-count">2</td>') == 2
    assert text.count('<td class="field-count">1</td>') == 1
    assert text.index("Reported twice?") < text.index("Cheap &lt;b&gt;watches")


def test_the_queues_queries_do_not_grow(staff, poll, django_assert_num_queries):
    for reports in [1, 3]:
        for _ in range(reports):
            report(PollFactory())
        # Session, user, count, and the reports with their polls.
        with django_assert_num_queries(4):
            staff.get(QUEUE)


def test_settled_reports_leave_the_queue(staff, poll):
    first, second = report(poll, words="First."), report(poll, words="Second.")
    response = act(staff, QUEUE, "settle", first)
    assert "Settled." in response.text
    assert "First." not in response.text
    assert "Second." in response.text
    first.refresh_from_db()
    second.refresh_from_db()
    assert first.settled_at is not None
    assert second.settled_at is None
    assert is_listed(poll)
    assert mail.outbox == []
    assert "First." in staff.get(QUEUE, {"settled": "yes"}).text
    assert logged() == [(str(first.pk), "Found nothing wrong.")]


def test_hiding_asks_for_the_reason_first(staff, poll):
    chosen = report(poll)
    text = act(staff, QUEUE, "hide", chosen).text
    assert "<title>Hide polls | Pollstr</title>" in text
    assert "Cheap &lt;b&gt;watches&lt;/b&gt;?" in text
    assert 'name="because"' in text
    assert is_listed(poll)
    assert mail.outbox == []


@pytest.mark.parametrize(
    ("because", "sentence"),
    [
        ("", "Give a reason: without one the author cannot mend anything."),
        ("  ", "Give a reason: without one the author cannot mend anything."),
        ("\u200b \u00ad", "Give a reason: without one the author cannot mend anything."),
        ("\u202e\u2066", "Give a reason: without one the author cannot mend anything."),
        ("\u2800\u115f", "Give a reason: without one the author cannot mend anything."),
        ("e" + "\u0301" * 9, "piles more than 6 marks on one letter"),
        ("\r\n".join(["a"] * 151), "at most 300 characters (it has 301)"),
        ("x" * 301, "at most 300 characters (it has 301)"),
        ("\0", "Null characters are not allowed."),
    ],
)
def test_a_bad_reason_is_said_and_hides_nothing(staff, poll, because, sentence):
    chosen = report(poll)
    text = act(staff, QUEUE, "hide", chosen, because=because).text
    assert sentence in text
    assert f'name="_selected_action" value="{chosen.pk}"' in text
    assert is_listed(poll)
    chosen.refresh_from_db()
    assert chosen.settled_at is None


def test_hiding_settles_the_reports_and_is_logged(staff, poll):
    first, second = report(poll), report(poll)
    unrelated = report(PollFactory(question="Tea?"))
    response = act(staff, QUEUE, "hide", first, because="It is spam.")
    assert "Hidden. Authors who gave an address are told by mail." in response.text
    poll.refresh_from_db()
    assert poll.hidden_because == "It is spam."
    assert not is_listed(poll)
    assert set(Report.objects.filter(settled_at=None)) == {unrelated}
    assert Report.objects.filter(settled_at__isnull=False).count() == len([first, second])
    assert logged() == [(str(poll.pk), "Hid the poll. The reason: It is spam.")]
    assert LogEntry.objects.get().get_edited_object() == poll


def test_the_author_is_told_the_reason_and_not_who_reported(staff, poll):
    report(poll)
    act(staff, QUEUE, "hide", Report.objects.get(), because="It's <spam>.")
    [message] = mail.outbox
    assert message.to == ["eve@example.com"]
    assert message.subject == "Your Pollstr poll was hidden"
    assert "Your poll “Cheap <b>watches</b>?” was taken out of sight" in message.body
    assert "The reason: It's <spam>." in message.body
    assert "ask whoever runs the site to show it again" in message.body
    [html] = [part.content for part in message.alternatives]
    assert "It&#x27;s &lt;spam&gt;." in html
    assert "<spam>" not in html
    assert "<b>" not in html
    for text in [message.body, html]:
        assert "reporter0" not in text
        assert "It sells" not in text


def test_the_mail_says_the_same_as_text_and_as_html(poll):
    Poll.objects.filter(pk=poll.pk).update(question="Watches?")
    poll.refresh_from_db()
    hide(poll, "It is spam.")
    show_again(poll)
    assert "The reason: It is spam." in words_of(mail.outbox[0])
    assert "It is back in sight now" in words_of(mail.outbox[1])


def test_author_and_staff_read_the_reason_on_the_ballot(staff, poll):
    hide(poll, "It is <spam>.")
    for browser in [people.author(poll), staff]:
        text = browser.get(poll.get_absolute_url()).text
        assert "The reason: <bdi>It is &lt;spam&gt;.</bdi>" in text
        assert "Report this poll" not in text
    assert people.verified(poll).get(poll.get_absolute_url()).status_code == 404


def test_what_is_hidden_is_not_hidden_twice(staff, poll):
    hide(poll, "It is spam.")
    late = report(poll)
    act(staff, POLLS, "hide", poll, because="Again.")
    poll.refresh_from_db()
    late.refresh_from_db()
    assert poll.hidden_because == "It is spam."
    assert late.settled_at is not None
    assert len(mail.outbox) == 1
    assert logged() == []


def test_hidden_from_the_list_of_polls_and_shown_again(staff, poll):
    Ballot.objects.cast(poll, "+12025550123", [poll.choices.first().pk])
    act(staff, POLLS, "hide", poll, because="It is spam.")
    assert not is_listed(poll)
    response = act(staff, POLLS, "show_again", poll)
    assert "Shown again." in response.text
    poll.refresh_from_db()
    assert poll.hidden_because == ""
    assert is_listed(poll)
    assert poll.ballots.count() == 1
    assert [message.subject for message in mail.outbox] == [
        "Your Pollstr poll was hidden",
        "Your Pollstr poll is shown again",
    ]
    assert sorted(message for _, message in logged()) == [
        "Hid the poll. The reason: It is spam.",
        "Showed the poll again.",
    ]


def test_showing_what_is_not_hidden_tells_nobody(staff, poll):
    act(staff, POLLS, "show_again", poll)
    assert mail.outbox == []
    assert logged() == []


@pytest.mark.parametrize("author", [None, {"email": ""}], ids=str)
def test_a_poll_whose_author_cannot_be_told_is_hidden_all_the_same(staff, author):
    poll = PollFactory(author=author and UserFactory(**author))
    assert hide(poll, "It is spam.")
    poll.refresh_from_db()
    assert poll.hidden_because == "It is spam."
    assert mail.outbox == []


def test_whoever_may_only_look_has_no_actions(poll):
    chosen = report(poll)
    browser = people.staff_who_may("view_report", "view_poll")
    assert "It sells" in browser.get(QUEUE).text
    for url, action, row in [
        (QUEUE, "settle", chosen),
        (QUEUE, "hide", chosen),
        (POLLS, "hide", poll),
        (POLLS, "show_again", poll),
    ]:
        assert f'value="{action}"' not in browser.get(url).text
        act(browser, url, action, row, because="It is spam.")
    poll.refresh_from_db()
    chosen.refresh_from_db()
    assert (poll.hidden_because, chosen.settled_at) == ("", None)


def test_whoever_may_settle_may_not_hide(poll):
    chosen = report(poll)
    browser = people.staff_who_may("change_report")
    act(browser, QUEUE, "hide", chosen, because="It is spam.")
    assert is_listed(poll)
    act(browser, QUEUE, "settle", chosen)
    chosen.refresh_from_db()
    assert chosen.settled_at is not None


def test_staff_without_permission_see_no_queue(poll):
    report(poll)
    assert people.staff_who_may().get(QUEUE).status_code == 403


def test_reports_are_neither_made_nor_changed_nor_deleted_there(staff, poll):
    kept = report(poll)
    assert staff.get(reverse("admin:polls_report_add")).status_code == 403
    assert staff.post(reverse("admin:polls_report_delete", args=[kept.pk])).status_code == 403
    act(staff, QUEUE, "delete_selected", kept, post="yes")
    change = reverse("admin:polls_report_change", args=[kept.pk])
    staff.post(change, {"reason": "abuse", "words": "Changed.", "settled_at_0": "2026-01-01"})
    kept.refresh_from_db()
    assert (kept.reason, kept.words) == ("spam", "It sells <i>watches</i>.")
    assert kept.settled_at is None


def test_a_poll_with_reports_can_be_deleted(staff, poll):
    report(poll)
    staff.post(reverse("admin:polls_poll_delete", args=[poll.pk]), {"post": "yes"})
    assert not Poll.objects.exists()
    assert not Report.objects.exists()


@pytest.mark.parametrize("who", [people.verified, people.author])
def test_others_do_not_enter(poll, who):
    assert who(poll).get(QUEUE, follow=True).status_code == 403


def test_the_first_reason_is_kept_of_two_who_hide_a_poll_at_once(poll):
    """The second looks at the row as the first left it, not at what the page had loaded."""
    first, second = Poll.objects.get(pk=poll.pk), Poll.objects.get(pk=poll.pk)
    assert hide(first, "It is spam.")
    assert not hide(second, "It insults people.")
    assert Poll.objects.get().hidden_because == "It is spam."
    assert show_again(second)
    assert not show_again(first)
    assert len(mail.outbox) == 2


def test_a_poll_that_was_deleted_meanwhile_is_not_hidden(poll):
    gone = Poll.objects.get(pk=poll.pk)
    poll.delete()
    assert not hide(gone, "It is spam.")
    assert not show_again(gone)
    assert mail.outbox == []
