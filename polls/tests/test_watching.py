"""results.json for those who watch: the shared copy, the page's key, and what opens to whom."""

import re
from datetime import timedelta
from threading import Event, Thread

import pytest
from django.urls import reverse
from django.utils import timezone

from polls import watching
from polls.models import Ballot, Poll
from two_factor.tests.factories import UserFactory

from . import people
from .factories import PollFactory

pytestmark = pytest.mark.django_db
Rule = Poll.ResultsFor
HIDDEN = [Rule.AFTER_CLOSE, Rule.AUTHOR]
TAKEN_AWAY = {
    "trashed": {"trashed_at": timezone.now()},
    "hidden": {"hidden_because": "It is spam."},
    "a draft again": {"published_at": None},
    "by link only": {"is_listed": False},
    "only for the author": {"results_for": Rule.AUTHOR},
    "after the close": {"results_for": Rule.AFTER_CLOSE},
    "for voters": {"results_for": Rule.VOTERS},
}


@pytest.fixture
def poll():
    return PollFactory(author=UserFactory(), choices=["Tea", "Coffee"])


@pytest.fixture
def later(time_machine):
    """Move on by so many seconds: by three, any copy is too old."""

    def later(seconds=3):
        time_machine.move_to(timezone.now() + timedelta(seconds=seconds))

    return later


def cast(poll, n=0):
    Ballot.objects.cast(poll, f"+1202555{n:04}", [poll.choices.first().pk])


def address(poll, link=""):
    return reverse("polls:results_json", args=[poll.pk], query={"link": link} if link else None)


def ask(client, poll, key=None, link="", **headers):
    if key is not None:
        headers["X-Watch-Key"] = key
    return client.get(address(poll, link), headers=headers)


def attribute(browser, poll, name):
    found = re.search(f' data-{name}="([^"]*)"', browser.get(poll.url("results")).text)
    return found and found[1]


def key_on_page(browser, poll):
    return attribute(browser, poll, "key")


# The key


@pytest.mark.parametrize("rule", [Rule.VERIFIED, Rule.VOTERS])
def test_the_pages_key_opens_the_results_without_a_session(client, poll, rule):
    Poll.objects.update(results_for=rule)
    key = key_on_page(people.voter(poll), poll)
    response = ask(client, poll, key)
    assert response.status_code == 200
    assert response.json()["voters"] == 1
    assert "no-store" in response["Cache-Control"]
    assert "Access-Control-Allow-Origin" not in response
    assert not response.cookies


def test_a_watcher_with_the_last_results_costs_no_query(client, poll, django_assert_num_queries):
    key = key_on_page(people.voter(poll), poll)
    etag = ask(client, poll, key)["ETag"]
    with django_assert_num_queries(0):
        response = ask(client, poll, key, if_none_match=etag)
    assert response.status_code == 304
    assert response.content == b""
    assert response["ETag"] == etag


@pytest.mark.parametrize(("choices", "voters"), [(2, 1), (10, 20)])
def test_making_the_copy_costs_two_queries(client, django_assert_num_queries, choices, voters):
    poll = PollFactory(results_for="everyone", choices=[f"No. {n}" for n in range(choices)])
    for n in range(voters):
        cast(poll, n)
    with django_assert_num_queries(2):
        assert ask(client, poll).status_code == 200


def test_a_watcher_sees_a_vote_within_the_copys_time(client, poll, later):
    key = key_on_page(people.verified(poll), poll)
    etag = ask(client, poll, key)["ETag"]
    cast(poll)
    later(watching.ANEW + 0.1)
    response = ask(client, poll, key, if_none_match=etag)
    assert response.status_code == 200
    assert response.json()["voters"] == 1


@pytest.mark.parametrize("fields", TAKEN_AWAY.values(), ids=TAKEN_AWAY)
def test_a_key_stops_when_the_results_are_not_for_its_holder_any_more(client, poll, later, fields):
    key = key_on_page(people.verified(poll), poll)
    assert ask(client, poll, key).status_code == 200
    Poll.objects.update(**fields)
    later(watching.ANEW + 0.1)
    response = ask(client, poll, key)
    assert response.status_code == 403
    assert response.json() == {"error": "Open the page of the results again."}
    assert "no-store" in response["Cache-Control"]


def test_a_key_lasts_no_longer_than_a_proof(client, poll, later, settings):
    key = key_on_page(people.verified(poll), poll)
    later(settings.VERIFIED_SECONDS - 60)
    assert ask(client, poll, key).status_code == 200
    later(120)
    assert ask(client, poll, key).status_code == 403


def test_a_key_of_one_poll_opens_no_other(client, poll):
    key = key_on_page(people.verified(poll), poll)
    assert ask(client, PollFactory(), key).status_code == 403


@pytest.mark.parametrize("key", ["", "x", "W10:1:x", "é", "a" * 5000])
def test_a_made_up_key_opens_nothing(client, poll, key):
    assert ask(client, poll, key.encode().decode("latin-1")).status_code == 403


def test_a_wrong_key_asks_for_no_session(poll, django_assert_num_queries):
    browser = people.verified(poll)
    ask(browser, poll, "x")
    with django_assert_num_queries(0):
        assert ask(browser, poll, "x").status_code == 403


def test_a_key_for_a_poll_by_link_needs_the_link_too(client, poll):
    Poll.objects.update(is_listed=False)
    poll.refresh_from_db()
    key = key_on_page(people.verified(poll), poll)
    assert ask(client, poll, key, link=poll.slug).status_code == 200
    for link in ["", "x", PollFactory().slug]:
        assert ask(client, poll, key, link=link).status_code == 403


@pytest.mark.parametrize("rule", HIDDEN)
def test_there_is_no_key_to_hidden_results(client, poll, rule):
    Poll.objects.update(results_for=rule)
    author = people.author(poll)
    assert key_on_page(author, poll) == ""
    assert attribute(author, poll, "watch") == address(poll)
    assert key_on_page(people.voter(poll), poll) is None
    made_up = watching.signing.dumps([poll.pk, rule], salt=watching.SALT)
    assert ask(client, poll, made_up).status_code == 403


@pytest.mark.parametrize("rule", HIDDEN)
def test_hidden_results_are_in_no_copy(poll, rule):
    Poll.objects.update(results_for=rule)
    assert ask(people.author(poll), poll).status_code == 200
    assert watching.shared_copy(poll.pk, "") == {}
    assert watching.cache.get(f"watched-{poll.pk}") is None


def test_after_the_close_a_key_shows_the_final_count(client, poll, later):
    key = key_on_page(people.verified(poll), poll)
    cast(poll)
    Poll.objects.update(closes_at=timezone.now() - timedelta(seconds=1))
    later()
    answer = ask(client, poll, key).json()
    assert answer["question"]["open"] is False
    assert answer["voters"] == 1


# Who watches by what


@pytest.mark.parametrize("fields", [{"closes_at": timezone.now()}, {"published_at": None}])
def test_a_page_whose_results_do_not_move_asks_for_none(poll, fields):
    Poll.objects.update(**fields)
    page = people.author(poll).get(poll.url("results")).text
    assert "<progress" in page
    for trace in ["data-watch", "data-key", "results.js", ">Refresh<"]:
        assert f"{trace}" not in page.replace("results.json", "")


def test_a_page_that_moves_has_a_link_for_those_without_scripts(poll):
    page = people.verified(poll).get(poll.url("results")).text
    assert f'<a href="/polls/{poll.pk}/results/">Refresh</a>' in page
    assert 'data-ask-every="5" data-tell-every="15"' in page


def test_public_results_need_no_key(client, poll):
    Poll.objects.update(results_for=Rule.EVERYONE)
    assert key_on_page(client, poll) == ""
    assert ask(client, poll).json()["voters"] == 0


def test_the_page_holds_the_own_vote_whatever_the_copy_says(client, poll):
    Poll.objects.update(results_for=Rule.EVERYONE)
    voter = people.verified(poll)
    assert ask(client, poll).json()["voters"] == 0
    data = {"choice": poll.choices.first().pk}
    page = voter.post(reverse("polls:vote", args=[poll.pk]), data, follow=True).text
    assert "1 voter, one verified phone number each." in page


# The shared copy


def test_of_many_watchers_one_makes_the_copy_and_the_others_get_the_last(poll, later, monkeypatch):
    Poll.objects.update(results_for=Rule.EVERYONE)
    before = watching.shared_copy(poll.pk, "")
    later(watching.ANEW + 0.1)
    making, watchers_done = Event(), Event()

    def slow(pk):
        making.set()
        assert watchers_done.wait(10)
        return before | {"body": "new"}

    monkeypatch.setattr(watching, "make_copy", slow)
    maker = Thread(target=watching.shared_copy, args=[poll.pk, ""])
    maker.start()
    assert making.wait(10)
    assert [watching.shared_copy(poll.pk, "") for _ in range(20)] == [before] * 20
    watchers_done.set()
    maker.join()
    assert watching.shared_copy(poll.pk, "")["body"] == "new"


def test_the_etag_is_of_the_results_and_not_of_when_they_were_counted(client, poll, later):
    Poll.objects.update(results_for=Rule.EVERYONE)
    first = ask(client, poll)
    later()
    second = ask(client, poll)
    assert first["ETag"] == second["ETag"]
    assert first.json()["counted_at"] != second.json()["counted_at"]
    cast(poll)
    later()
    assert ask(client, poll)["ETag"] != first["ETag"]


def test_whoever_comes_by_session_gets_an_etag_too(poll):
    browser = people.verified(poll)
    first = ask(browser, poll)
    assert "no-store" in first["Cache-Control"]
    assert ask(browser, poll, if_none_match=first["ETag"]).status_code == 304
    assert ask(browser, poll, if_none_match='"another"').status_code == 200


@pytest.mark.parametrize("pk", ["1" + "0" * 400, str(2**63), "99"])
def test_a_poll_that_is_not_there_is_a_404_and_not_kept(client, pk):
    assert client.get(f"/polls/{pk}/results.json").status_code == 404
    response = client.get(f"/polls/{pk}/results.json", headers={"X-Watch-Key": "x"})
    # No key is asked for where there can be no poll.
    assert response.status_code == (403 if pk == "99" else 404)


# Scripts of other sites


def is_readable_elsewhere(response):
    return response.get("Access-Control-Allow-Origin") == "*"


@pytest.mark.parametrize("is_closed", [False, True])
@pytest.mark.parametrize("rule", Rule)
@pytest.mark.parametrize("who", [people.anonymous, people.verified, people.author])
def test_other_sites_read_what_is_public_at_that_moment(poll, rule, is_closed, who):
    closes_at = timezone.now() - timedelta(seconds=1) if is_closed else None
    Poll.objects.update(results_for=rule, closes_at=closes_at)
    browser = who(poll)
    is_public = rule == Rule.EVERYONE or (rule == Rule.AFTER_CLOSE and is_closed)
    for method in [browser.get, browser.head, browser.options]:
        assert is_readable_elsewhere(method(address(poll))) is is_public


@pytest.mark.parametrize("fields", list(TAKEN_AWAY.values())[:4], ids=list(TAKEN_AWAY)[:4])
def test_other_sites_cannot_read_what_was_taken_away(poll, fields):
    Poll.objects.update(results_for=Rule.EVERYONE)
    Poll.objects.update(**fields)
    for browser in [people.anonymous(poll), people.author(poll)]:
        for method in [browser.get, browser.head, browser.options]:
            assert not is_readable_elsewhere(method(address(poll)))


def test_other_sites_read_a_poll_by_link_with_its_link_only(client, poll):
    Poll.objects.update(results_for=Rule.EVERYONE, is_listed=False)
    assert is_readable_elsewhere(ask(client, poll, link=poll.slug))
    assert not is_readable_elsewhere(ask(client, poll))
    assert not is_readable_elsewhere(ask(client, poll, link="x"))


def test_a_304_is_readable_elsewhere_too(client, poll):
    Poll.objects.update(results_for=Rule.EVERYONE)
    response = ask(client, poll, if_none_match=ask(client, poll)["ETag"])
    assert response.status_code == 304
    assert is_readable_elsewhere(response)
    assert response["Access-Control-Expose-Headers"] == "ETag"
    assert response["Cache-Control"] == "no-cache"


def test_a_preflight_allows_reading_under_a_condition_and_nothing_more(client, poll):
    Poll.objects.update(results_for=Rule.EVERYONE)
    response = client.options(address(poll))
    assert response.status_code == 204
    assert response["Allow"] == "GET, HEAD, OPTIONS"
    assert response["Access-Control-Allow-Methods"] == "GET, HEAD"
    assert response["Access-Control-Allow-Headers"] == "If-None-Match"
    assert "Access-Control-Allow-Credentials" not in response


def test_head_answers_as_get_without_its_body(client, poll):
    Poll.objects.update(results_for=Rule.EVERYONE)
    response = client.head(address(poll))
    assert response.status_code == 200
    assert response.content == b""
    assert response["ETag"] == ask(client, poll)["ETag"]


def test_public_results_are_checked_with_the_site_each_time(client, poll):
    Poll.objects.update(results_for=Rule.EVERYONE)
    response = ask(people.verified(poll), poll)
    assert response["Cache-Control"] == "no-cache"
    # The same for all: who asks makes no difference, and is not asked.
    assert "Vary" not in response
    assert not response.cookies


# Votes, and the copy


def vote(browser, poll):
    choice = poll.choices.first().pk
    return browser.post(reverse("polls:vote", args=[poll.pk]), {"choice": choice})


def test_after_a_vote_the_next_reader_sees_it(client):
    poll = PollFactory(results_for=Rule.EVERYONE)
    for voters in range(1, 4):
        assert vote(people.verified(poll), poll).status_code == 302
        assert ask(client, poll).json()["voters"] == voters


def test_where_votes_pour_in_the_copy_is_made_anew_so_often_only(client, time_machine):
    time_machine.move_to("2026-06-01T12:00:00Z", tick=False)
    poll = PollFactory(results_for=Rule.EVERYONE)
    counted = set()
    for n in range(watching.NUDGES + 5):
        cast(poll, n)
        watching.nudge(poll.pk)
        counted.add(ask(client, poll).json()["voters"])
    assert counted == set(range(1, watching.NUDGES + 1))
    time_machine.move_to("2026-06-01T12:00:01Z", tick=False)
    watching.nudge(poll.pk)
    assert ask(client, poll).json()["voters"] == watching.NUDGES + 5


def test_a_copy_of_a_clock_that_ran_ahead_is_not_kept_when_that_is_set_right(client, later):
    poll = PollFactory(results_for=Rule.EVERYONE)
    later(3600)
    ask(client, poll)
    cast(poll)
    later(-3600)
    assert ask(client, poll).json()["voters"] == 1


def test_a_poll_that_is_changed_is_seen_at_once(client):
    poll = PollFactory(results_for=Rule.EVERYONE)
    ask(client, poll)
    poll.choices.create(text="Maybe")
    assert len(ask(client, poll).json()["choices"]) == 3
    poll.results_for = Rule.AUTHOR
    poll.save()
    assert ask(client, poll).status_code == 302
