import re
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse
from django.utils import timezone

from polls.models import Ballot, Change, Poll, Report
from polls.tally import snapshot, tally
from two_factor.tests.factories import UserFactory

from . import people
from .factories import PollFactory

pytestmark = pytest.mark.django_db
ADA = "+12025550123"
POLLS = reverse("admin:polls_poll_changelist")
ADD = reverse("admin:polls_poll_add")


@pytest.fixture
def staff(user):
    user.is_staff = user.is_superuser = True
    user.save()
    return user


def form(*choices, kept=(), **fields):
    """Return what the admin's page for a poll sends; ``kept`` are choices it had already."""
    data = {
        "question": "Tea or coffee?",
        "description": "",
        "opens_at_0": "2026-01-01",
        "opens_at_1": "09:00:00",
        "closes_at_0": "",
        "closes_at_1": "",
        "min_choices": "1",
        "max_choices": "1",
        "results_for": "verified",
        "may_change": "on",
        "choices-TOTAL_FORMS": len(kept) + len(choices),
        "choices-INITIAL_FORMS": len(kept),
    }
    for n, choice in enumerate(kept):
        data |= {f"choices-{n}-id": choice.pk, f"choices-{n}-poll": choice.poll_id}
    for n, text in enumerate([*(choice.text for choice in kept), *choices]):
        data |= {f"choices-{n}-text": text, f"choices-{n}-position": n if text else 0}
    return data | fields


def change(poll):
    return reverse("admin:polls_poll_change", args=[poll.pk])


@pytest.mark.parametrize("url", [reverse("admin:index"), POLLS, ADD])
def test_the_anonymous_sign_in_first(client, url):
    response = client.get(url, follow=True)
    assert response.redirect_chain[-1] == (f"/login/?next={url}", 302)
    assert "<title>Sign in · Pollstr</title>" in response.text


@pytest.mark.parametrize("url", [reverse("admin:index"), POLLS, ADD])
def test_staff_prove_their_phone_first(signed_in, staff, url):
    response = signed_in.get(url, follow=True)
    assert response.redirect_chain[-1][0] == f"/2fa/?next={url.replace('/', '%2F')}"
    assert "<title>Prove your phone · Pollstr</title>" in response.text


def test_the_admins_own_login_page_knows_no_shorter_way(signed_in, staff):
    data = {"username": "ada", "password": "correct horse battery"}
    for response in [
        signed_in.get("/admin/login/"),
        signed_in.post("/admin/login/", data),
    ]:
        assert response.status_code == 302
        assert response["Location"] == "/2fa/?next=%2Fadmin%2F"


def test_the_admins_own_login_page_signs_nobody_in(client, staff):
    data = {"username": "ada", "password": "correct horse battery"}
    response = client.post("/admin/login/", data)
    assert response["Location"] == "/login/?next=/admin/"
    assert "sessionid" not in response.cookies


def test_staff_without_proof_make_no_poll(signed_in, staff):
    signed_in.post(ADD, form("Tea", "Coffee"))
    assert not Poll.objects.exists()


@pytest.mark.parametrize("url", [reverse("admin:index"), POLLS, ADD])
def test_others_get_a_403_in_the_sites_look(verified, url):
    response = verified.get(url, follow=True)
    assert response.status_code == 403
    assert "<title>This page is not for you · Pollstr</title>" in response.text


def test_verified_staff_enter(verified, staff):
    assert verified.get(reverse("admin:index")).status_code == 200
    assert verified.get("/admin/login/")["Location"] == "/admin/"


def test_a_poll_and_its_choices_are_made_on_one_page(verified, staff):
    response = verified.post(ADD, form("Tea", "Coffee", "Water"))
    assert response.status_code == 302
    poll = Poll.objects.get()
    assert poll.question == "Tea or coffee?"
    assert [choice.text for choice in poll.choices.all()] == ["Tea", "Coffee", "Water"]


@pytest.mark.parametrize("choices", [[], ["Tea"], ["Tea", ""]])
def test_a_poll_needs_two_choices(verified, staff, choices):
    response = verified.post(ADD, form(*choices))
    assert response.status_code == 200
    assert "A poll needs at least two choices." in response.text
    assert not Poll.objects.exists()


def test_a_poll_takes_no_choice_twice(verified, staff):
    response = verified.post(ADD, form("Tea", "Coffee", "Tea"))
    assert response.status_code == 200
    assert "Please correct the duplicate data" in response.text
    assert not Poll.objects.exists()


def test_a_poll_closes_after_it_opens(verified, staff):
    early = {"closes_at_0": "2026-01-01", "closes_at_1": "08:00:00"}
    response = verified.post(ADD, form("Tea", "Coffee", **early))
    assert "A poll must close after it opens." in response.text
    assert not Poll.objects.exists()


@pytest.mark.parametrize(
    "fields",
    [
        {"question": ""},
        {"question": "x" * 201},
        {"question": "\0"},
        {"choices-0-text": "x" * 201},
        {"choices-0-text": "\0"},
        {"choices-0-text": "  "},
        {"choices-0-position": "99999999999999999999999"},
        {"opens_at_0": "junk"},
    ],
    ids=str,
)
def test_bad_input_is_said_and_nothing_saved(verified, staff, fields):
    response = verified.post(ADD, form("Tea", "Coffee", **fields))
    assert response.status_code == 200
    assert "Please correct the error" in response.text
    assert not Poll.objects.exists()


def test_before_the_first_vote_all_may_change(verified, staff):
    poll = PollFactory()
    kept = list(poll.choices.all())
    kept[0].text = "Yes!"
    verified.post(change(poll), form("Maybe", kept=kept, question="Really?"))
    poll.refresh_from_db()
    assert poll.question == "Really?"
    assert [choice.text for choice in poll.choices.all()] == ["Yes!", "No", "Maybe"]


def test_a_poll_keeps_two_choices(verified, staff):
    poll = PollFactory()
    response = verified.post(
        change(poll), form(kept=poll.choices.all(), **{"choices-0-DELETE": "on"})
    )
    assert "A poll needs at least two choices." in response.text
    assert poll.choices.count() == 2


@pytest.fixture
def voted():
    poll = PollFactory(question="Tea?", choices=["Yes", "No"])
    Ballot.objects.cast(poll, ADA, [poll.choices.first().pk])
    return poll


def test_after_the_first_vote_the_wording_cannot_be_edited(verified, staff, voted):
    text = verified.get(change(voted)).text
    assert '<div class="readonly">Tea?</div>' in text
    for name in ["question", "description", "opens_at_0", "choices-0-text", "choices-0-DELETE"]:
        assert f'name="{name}"' not in text
    assert 'name="closes_at_0"' in text


def test_after_the_first_vote_a_forged_form_changes_no_wording(verified, staff, voted):
    kept = list(voted.choices.all())
    kept[0].text = "Never"
    forged = form("Maybe", kept=kept, question="Coffee?", **{"choices-1-DELETE": "on"})
    verified.post(change(voted), forged)
    voted.refresh_from_db()
    assert voted.question == "Tea?"
    assert [choice.text for choice in voted.choices.all()] == ["Yes", "No"]


def test_after_the_first_vote_the_end_can_be_set(verified, staff, voted):
    end = {"closes_at_0": "2126-01-01", "closes_at_1": "18:00:00"}
    response = verified.post(change(voted), form(kept=voted.choices.all(), **end))
    assert response.status_code == 302
    voted.refresh_from_db()
    assert voted.closes_at.year == 2126


@pytest.mark.parametrize("answer", [{}, {"post": "yes"}])
def test_a_poll_with_votes_cannot_be_deleted(verified, staff, voted, answer):
    response = verified.post(reverse("admin:polls_poll_delete", args=[voted.pk]), answer)
    assert response.status_code in {200, 403}
    assert tally(voted)["voters"] == 1


def test_a_poll_with_votes_cannot_be_deleted_from_the_list(verified, staff, voted):
    action = {"action": "delete_selected", "_selected_action": voted.pk, "post": "yes"}
    response = verified.post(POLLS, action)
    assert response.status_code == 200
    assert Poll.objects.get() == voted


def test_a_poll_without_votes_can_be_deleted(verified, staff):
    verified.post(reverse("admin:polls_poll_delete", args=[PollFactory().pk]), {"post": "yes"})
    assert not Poll.objects.exists()


def test_the_list_counts_the_votes(verified, staff, voted):
    Ballot.objects.cast(voted, "+12025550124", [voted.choices.first().pk])
    assert '<td class="field-votes">2</td>' in verified.get(POLLS).text


@pytest.mark.parametrize("query", [{}, {"q": "poll yes"}, {"state": "open"}], ids=str)
def test_the_lists_queries_do_not_grow(verified, staff, django_assert_num_queries, query):
    for polls in [1, 3]:
        for poll in PollFactory.create_batch(polls, author=UserFactory()):
            Ballot.objects.cast(poll, ADA, [poll.choices.first().pk])
            Report.objects.create(poll=poll, reason="spam")
        # Session, user with second factor; how many, the list. A search first asks the newest polls
        # which of its words are rare.
        with django_assert_num_queries(5 if "q" in query else 4):
            verified.get(POLLS, query)


def test_the_list_counts_votes_and_waiting_reports_apart(verified, staff, voted):
    for settled_at in [None, None, timezone.now()]:
        Report.objects.create(poll=voted, reason="spam", settled_at=settled_at)
    Ballot.objects.cast(voted, "+12025550124", [voted.choices.last().pk])
    PollFactory()
    text = verified.get(POLLS).text
    assert text.count('<td class="field-votes">2</td><td class="field-reports">2</td>') == 1
    assert text.count('<td class="field-votes">0</td><td class="field-reports">0</td>') == 1


def make_one_of_each_state():
    """Make a poll in each state, named by it."""
    hour, now = timedelta(hours=1), timezone.now()
    PollFactory(question="open poll")
    PollFactory(question="upcoming poll", opens_at=now + hour)
    PollFactory(question="closed poll", closes_at=now - hour)
    PollFactory(question="draft poll", published_at=None)
    PollFactory(question="hidden poll", hidden_because="It is spam.")
    PollFactory(question="trashed poll", trashed_at=now)
    reported = PollFactory(question="reported poll", closes_at=now - hour, is_listed=False)
    Report.objects.create(poll=reported, reason="spam")
    settled = PollFactory(question="closed, settled poll", closes_at=now - hour)
    Report.objects.create(poll=settled, reason="spam", settled_at=now)


def shown(response):
    return sorted(poll.question for poll in response.context["cl"].result_list)


@pytest.mark.parametrize(
    ("query", "questions"),
    [
        ({"state": "open"}, ["open poll"]),
        ({"state": "upcoming"}, ["upcoming poll"]),
        ({"state": "closed"}, ["closed poll", "closed, settled poll", "reported poll"]),
        ({"state": "draft"}, ["draft poll"]),
        ({"state": "hidden"}, ["hidden poll"]),
        ({"state": "trashed"}, ["trashed poll"]),
        ({"state": "reported"}, ["reported poll"]),
        ({"is_listed__exact": "0"}, ["reported poll"]),
        ({"state": "closed", "is_listed__exact": "0"}, ["reported poll"]),
    ],
    ids=str,
)
def test_the_list_shows_polls_of_a_state(verified, staff, query, questions):
    make_one_of_each_state()
    assert shown(verified.get(POLLS, query)) == questions


@pytest.mark.parametrize("query", [{}, {"state": "junk"}, {"state": "\0"}], ids=str)
def test_the_list_shows_all_polls_with_their_states(verified, staff, query):
    make_one_of_each_state()
    response = verified.get(POLLS, query)
    assert len(shown(response)) == 8
    for state in ["open", "coming up", "draft", "hidden", "in the trash", "closed, by link"]:
        assert f'<td class="field-state">{state}</td>' in response.text


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("tea", True),
        ("cof", True),
        ("afternoon", True),
        ("grace", True),
        ("TEA grace coffee", True),
        ("tea ada", False),
        ("nowhere", False),
        ("' & | ! ( ) : *", False),
        ("\0", True),
        ("", True),
    ],
)
def test_staff_search_questions_descriptions_choices_and_authors(verified, staff, words, found):
    author = UserFactory(username="grace")
    fields = {"question": "Tea?", "description": "In the afternoon.", "choices": ["Tea", "Coffee"]}
    PollFactory(**fields, author=author, published_at=None)
    response = verified.get(POLLS, {"q": words})
    assert response.status_code == 200
    assert shown(response) == ["Tea?"] * found


def test_a_poll_is_shown_with_its_link_and_what_only_its_author_sets(verified, staff):
    poll = PollFactory(is_listed=False, hidden_because="It is <spam>.", author=staff)
    text = verified.get(change(poll)).text
    assert f'<a href="/p/{poll.slug}/">{poll.slug}</a>' in text
    assert '<div class="readonly">It is &lt;spam&gt;.</div>' in text
    forged = {
        "is_listed": "on",
        "hidden_because": "",
        "slug": "mine",
        "author": "",
        "time_zone": "x",
    }
    verified.post(change(poll), form(kept=poll.choices.all(), **forged))
    kept = Poll.objects.get()
    for field in ["is_listed", "hidden_because", "slug", "author", "time_zone", "published_at"]:
        assert getattr(kept, field) == getattr(poll, field)


@pytest.mark.parametrize("rule", ["author", "after_close", "voters"])
def test_staff_see_no_results_that_are_hidden_from_them(verified, staff, rule):
    poll = PollFactory(results_for=rule, choices=["Tea", "Coffee"], author=UserFactory())
    for n in range(7):
        Ballot.objects.cast(poll, f"+1202555000{n}", [poll.choices.last().pk])
    assert '<td class="field-votes">7</td>' in verified.get(POLLS).text
    inlines = verified.get(change(poll)).text.partition('id="choices-group"')[2]
    assert "Coffee" in inlines
    assert not re.search(r">\s*7\b", inlines)


def end(at):
    return {"closes_at_0": f"{at:%Y-%m-%d}", "closes_at_1": f"{at:%H:%M:%S}"}


def told(poll):
    return [(change.what, change.voters) for change in Change.objects.filter(poll=poll)]


def test_a_change_before_the_first_vote_is_not_told(verified, staff):
    poll = PollFactory()
    verified.post(change(poll), form(kept=poll.choices.all(), question="Really?"))
    assert told(poll) == []


def test_a_change_after_the_first_vote_is_told_with_the_voters_at_the_time(verified, staff, voted):
    fields = end(datetime(2126, 1, 2, 18, tzinfo=UTC)) | {"results_for": "everyone"}
    verified.post(change(voted), form(kept=voted.choices.all(), **fields))
    Ballot.objects.cast(voted, "+12025550124", [voted.choices.first().pk])
    fields["results_for"] = "author"
    verified.post(change(voted), form(kept=voted.choices.all(), **fields))
    everyone, author = "everyone, at any time", "only me"
    assert told(voted) == [
        (
            "Closes: “none” became “2 January 2126, 18:00 UTC”; "
            f"Results are for: “whoever proved a phone, at any time” became “{everyone}”",
            1,
        ),
        (f"Results are for: “{everyone}” became “{author}”", 2),
    ]


def test_saving_without_a_change_tells_nothing(verified, staff, voted):
    verified.post(change(voted), form(kept=voted.choices.all()))
    assert told(voted) == []


def test_after_the_first_vote_an_end_in_the_past_means_now(verified, staff, voted):
    before = timezone.now()
    yesterday = before - timedelta(days=1)
    verified.post(change(voted), form(kept=voted.choices.all(), **end(yesterday)))
    voted.refresh_from_db()
    assert before <= voted.closes_at <= timezone.now()


def test_before_the_first_vote_a_poll_may_have_ended(verified, staff):
    poll, ended = PollFactory(), datetime(2026, 1, 2, tzinfo=UTC)
    verified.post(change(poll), form(kept=poll.choices.all(), **end(ended)))
    poll.refresh_from_db()
    assert poll.closes_at == ended


def test_after_the_first_vote_the_rules_of_the_ballot_stay(verified, staff, voted):
    forged = {"may_change": "", "max_choices": "2"}
    verified.post(change(voted), form(kept=voted.choices.all(), **forged))
    voted.refresh_from_db()
    assert (voted.may_change, voted.max_choices) == (True, 1)


@pytest.mark.parametrize("votes", [0, 1])
def test_what_is_frozen_stays_closed_and_as_it_was(verified, staff, votes):
    poll = PollFactory(question="Tea?")
    for n in range(votes):
        Ballot.objects.cast(poll, f"+1202555000{n}", [poll.choices.first().pk])
    poll.closes_at = timezone.now() - timedelta(seconds=1)
    poll.save(update_fields=["closes_at"])
    frozen = snapshot(poll)
    later = end(timezone.now() + timedelta(days=1))
    verified.post(change(poll), form("Maybe", kept=poll.choices.all(), question="New?", **later))
    poll.refresh_from_db()
    assert (poll.question, poll.is_closed, poll.choices.count()) == ("Tea?", True, 2)
    assert snapshot(poll) == frozen


def test_whoever_makes_a_poll_is_its_author(verified, staff):
    verified.post(ADD, form("Tea", "Coffee"))
    assert Poll.objects.get().author == staff


@pytest.mark.parametrize("fields", [{"min_choices": "0"}, {"min_choices": "2"}])
def test_a_poll_asks_for_one_answer_at_least_and_no_more_than_the_most(verified, staff, fields):
    response = verified.post(ADD, form("Tea", "Coffee", **fields))
    assert "Ask for one answer at least" in response.text
    assert not Poll.objects.exists()


def test_a_closing_time_may_be_set_when_the_poll_is_made(verified, staff):
    verified.post(ADD, form("Tea", "Coffee", **end(datetime(2126, 1, 2, tzinfo=UTC))))
    assert Poll.objects.get().closes_at.year == 2126


# The rules of the site's own form hold here, too


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"max_choices": "3"}, "There are 2 choices; ask for no more."),
        ({"choices-1-text": "ＴＥＡ"}, "This is the same as choice 1."),
        ({"choices-1-text": "T\u200bea"}, "This is the same as choice 1."),
        ({"choices-1-text": "\u200b"}, "Write something that can be seen."),
        ({"question": "\u202e \u2066"}, "Write the question first."),
        ({"question": "\u200b"}, "Write the question first."),
        ({"question": "e" + "\u0301" * 9}, "piles more than 6 marks on one letter"),
        ({"description": "x" * 5001}, "at most 5000 characters"),
        ({"time_zone": "Mars/Olympus"}, "Select a valid choice"),
        ({"is_listed": "x", "question": ""}, "Write the question first."),
        ({"closes_at_0": "2300-01-01", "closes_at_1": "junk"}, "Enter a valid time."),
    ],
    ids=str,
)
def test_a_poll_that_the_site_would_refuse_is_refused_here(verified, staff, fields, sentence):
    response = verified.post(ADD, form("Tea", "Coffee", **fields))
    assert response.status_code == 200
    assert sentence in response.text
    assert not Poll.objects.exists()


def test_a_description_is_as_long_as_the_browser_says(verified, staff):
    description = "\u202e" + "x\r\n" * 2499 + "xx"
    assert "maxlength" not in verified.get(ADD).text.split('name="description"')[1][:300]
    assert verified.post(ADD, form("Tea", "Coffee", description=description)).status_code == 302
    assert Poll.objects.get().description == "x\n" * 2499 + "xx"


def test_there_are_fifty_choices_at_most(verified, staff):
    response = verified.post(ADD, form(*(f"Choice {n}" for n in range(51))))
    assert "50" in response.text
    assert response.status_code == 200
    assert not Poll.objects.exists()
    assert verified.post(ADD, form(*(f"Choice {n}" for n in range(50)))).status_code == 302


def test_another_wording_is_another_choice(verified, staff):
    """Someone may have the ballot open, and pick what was there before."""
    poll = PollFactory(choices=["Yes", "No"])
    yes, no = poll.choices.all()
    before = {yes.pk, no.pk}
    yes.text = "Never"
    verified.post(change(poll), form(kept=[yes, no]))
    never, still_no = poll.choices.all()
    assert (never.text, still_no.text) == ("Never", "No")
    assert never.pk not in before
    assert still_no.pk == no.pk


def test_two_wordings_cannot_be_swapped_but_moved(verified, staff):
    poll = PollFactory(choices=["Yes", "No"])
    yes, no = poll.choices.all()
    yes.text, no.text = no.text, yes.text
    response = verified.post(change(poll), form(kept=[yes, no]))
    assert "This poll already has that choice." in response.text
    kept, moved = poll.choices.all(), {"choices-0-position": "2", "choices-1-position": "1"}
    assert verified.post(change(poll), form(kept=kept, **moved)).status_code == 302
    assert [(c.pk, c.text) for c in poll.choices.all()] == [(no.pk, "No"), (yes.pk, "Yes")]


def test_a_choice_without_a_position_comes_last(verified, staff):
    poll = PollFactory(choices=["Yes", "No"])
    fields = {"choices-2-position": "0", "choices-0-position": "1", "choices-1-position": "2"}
    verified.post(change(poll), form("Maybe", kept=poll.choices.all(), **fields))
    assert [choice.text for choice in poll.choices.all()] == ["Yes", "No", "Maybe"]


@pytest.mark.parametrize("later", [None, timedelta(hours=1)], ids=["no end", "earlier end"])
def test_after_the_first_vote_the_end_moves_to_later_only(verified, staff, voted, later):
    now = timezone.now()
    Poll.objects.filter(pk=voted.pk).update(closes_at=now + timedelta(days=2))
    fields = end(now + later) if later else {}
    response = verified.post(change(voted), form(kept=voted.choices.all(), **fields))
    assert response.status_code == 200
    assert "Voters were told" in response.text
    voted.refresh_from_db()
    assert voted.closes_at == now + timedelta(days=2)


def test_after_the_first_vote_listing_is_told(verified, staff, voted):
    verified.post(change(voted), form(kept=voted.choices.all(), is_listed="False"))
    voted.refresh_from_db()
    assert not voted.is_listed
    assert [what for what, _ in told(voted)] == ["Listed: “yes” became “no”"]


def test_after_the_first_vote_the_rest_cannot_be_forged(verified, staff, voted):
    forged = {"time_zone": "Asia/Tokyo", "forgets_voters": "on"}
    verified.post(change(voted), form(kept=voted.choices.all(), **forged))
    voted.refresh_from_db()
    assert (voted.time_zone, voted.forgets_voters) == ("UTC", False)


# What only the site's form had


def test_zone_list_and_forgetting_are_chosen_here(verified, staff):
    fields = {"time_zone": "Europe/Berlin", "is_listed": "False", "forgets_voters": "on"}
    verified.post(ADD, form("Tea", "Coffee", **fields))
    poll = Poll.objects.get()
    assert (poll.time_zone, poll.is_listed, poll.forgets_voters) == ("Europe/Berlin", False, True)
    # Typed as its clocks show it.
    assert poll.opens_at == datetime(2026, 1, 1, 8, tzinfo=UTC)
    text = verified.get(change(poll)).text
    assert 'value="09:00:00"' in text
    assert "Times (Europe/Berlin)" in text


def test_a_time_that_its_clocks_skip_is_refused(verified, staff):
    fields = {"time_zone": "Europe/Berlin", "opens_at_0": "2026-03-29", "opens_at_1": "02:30:00"}
    response = verified.post(ADD, form("Tea", "Coffee", **fields))
    assert response.status_code == 200
    assert not Poll.objects.exists()


def test_a_poll_that_is_not_saved_has_no_page_yet(verified, staff):
    text = verified.get(ADD).text
    assert "/p/" not in text.partition('id="content"')[2]
    assert "Author and page" not in text


# The author


@pytest.fixture
def grace():
    return UserFactory(username="grace")


def test_a_poll_gets_another_author(verified, staff, voted, grace):
    response = verified.post(change(voted), form(kept=voted.choices.all(), author_name="grace"))
    assert response.status_code == 302
    voted.refresh_from_db()
    assert voted.author == grace
    words = [entry.get_change_message() for entry in LogEntry.objects.all()]
    assert "Changed the author from nobody to grace." in words
    assert told(voted) == []


def test_a_poll_may_be_left_to_staff(verified, staff, grace):
    poll = PollFactory(author=grace)
    verified.post(change(poll), form(kept=poll.choices.all(), author_name=""))
    poll.refresh_from_db()
    assert poll.author is None


@pytest.mark.parametrize("name", ["nobody-has-it", "\0", "GRACE", "x" * 151, "gone"])
def test_an_author_who_is_not_there_is_refused(verified, staff, grace, name):
    UserFactory(username="gone", is_active=False)
    poll = PollFactory(author=grace)
    response = verified.post(change(poll), form(kept=poll.choices.all(), author_name=name))
    assert response.status_code == 200
    poll.refresh_from_db()
    assert poll.author == grace


def test_an_author_who_is_switched_off_stays(verified, staff):
    off = UserFactory(username="off", is_active=False)
    poll = PollFactory(author=off)
    fields = {"author_name": "off", "question": "New?"}
    verified.post(change(poll), form(kept=poll.choices.all(), **fields))
    poll.refresh_from_db()
    assert (poll.author, poll.question) == (off, "New?")


def test_naming_authors_takes_the_permission_to_view_users(grace):
    poll = PollFactory(author=grace)
    browser = people.staff_who_may("change_poll")
    assert 'name="author_name"' not in browser.get(change(poll)).text
    browser.post(change(poll), form(kept=poll.choices.all(), author_name="", question="New?"))
    poll.refresh_from_db()
    assert (poll.author, poll.question) == (grace, "New?")
    both = people.staff_who_may("change_poll", "view_user")
    assert 'name="author_name"' in both.get(change(poll)).text


def test_who_may_only_view_a_poll_reads_its_page(grace):
    poll = PollFactory(author=grace)
    text = people.staff_who_may("view_poll", "view_user").get(change(poll)).text
    assert "grace" in text
    assert 'name="question"' not in text


@pytest.mark.parametrize("pk", ["0", "x", "99999999999999999999", "_0A", "%00"])
@pytest.mark.parametrize("page", ["change", "delete", "history"])
def test_a_poll_that_is_not_there_is_no_error(verified, staff, pk, page):
    for method in [verified.get, verified.post]:
        assert method(f"/admin/polls/poll/{pk}/{page}/").status_code in {302, 404}


@pytest.mark.parametrize(
    "fields",
    [
        {"choices-TOTAL_FORMS": "99999"},
        {"choices-TOTAL_FORMS": "x"},
        {"choices-INITIAL_FORMS": "5"},
        {"choices-0-id": "99999999999999999999"},
        {"choices-0-id": "x"},
        {"choices-0-position": "-1"},
        {"min_choices": "99999999999999999999"},
        {"max_choices": "40000"},
        {"closes_at_0": "0001-01-01", "closes_at_1": "00:00"},
        {"closes_at_0": "9999-12-31", "closes_at_1": "23:59", "time_zone": "Pacific/Honolulu"},
        {"time_zone": "\0"},
        {"results_for": "nobody"},
        {"author_name": "grace"},
    ],
    ids=str,
)
def test_no_odd_form_is_an_error(verified, staff, fields):
    assert verified.post(ADD, form("Tea", "Coffee", **fields)).status_code in {200, 302}
    poll = PollFactory()
    response = verified.post(change(poll), form(kept=poll.choices.all(), **fields))
    assert response.status_code in {200, 302}


# What the pages look like


def test_votes_and_reports_come_right_after_the_question(verified, staff):
    PollFactory(closes_at=datetime(2126, 1, 2, 18, 30, tzinfo=UTC), time_zone="Europe/Berlin")
    text = verified.get(POLLS).text
    columns = re.findall(r'class="(?:sortable )?column-(\w+)', text)
    assert columns == ["question", "votes", "reports", "state", "author", "opens", "closes"]
    assert '<td class="field-closes">2126-01-02 18:30</td>' in text
    assert "Closes (UTC)" in text


def test_each_page_says_whose_times_it_shows(verified, staff):
    poll = PollFactory(time_zone="Europe/Berlin")
    assert "in the time zone Europe/Berlin." in verified.get(change(poll)).text
    assert "in the time zone UTC." in verified.get(POLLS).text
