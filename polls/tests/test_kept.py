"""Pages that are kept for a moment: who is shown them, and that nobody is shown another's."""

import gzip
import re
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import transaction
from django.db.models import QuerySet
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from conftest import verify
from polls import kept, watching
from polls.models import Ballot, Choice, Poll, polls_updated
from polls.moderation import hide, show_again
from two_factor.mixins import with_next
from two_factor.tests.factories import TwoFactorFactory, UserFactory

from .factories import PollFactory

pytestmark = pytest.mark.django_db(transaction=True)
LIST = reverse("polls:list")
TOKEN = re.compile('name="csrfmiddlewaretoken" value="([^"]+)"')


@pytest.fixture(autouse=True)
def keeping(monkeypatch):
    monkeypatch.setattr("polls.kept.KEPT", 60)
    kept.pages.clear()
    yield
    kept.pages.clear()


@pytest.fixture
def poll():
    return PollFactory(question="Tea or coffee?", choices=["Tea", "Coffee"])


def person(number, username, **kwargs):
    """Return a browser in which somebody has proven ``number``."""
    client = Client(enforce_csrf_checks=True)
    two_factor = TwoFactorFactory(user=UserFactory(username=username, **kwargs), number=number)
    client.force_login(two_factor.user)
    verify(client, two_factor)
    client.user = two_factor.user
    return client


@pytest.fixture
def ada():
    # Too long to be in a random token by chance.
    return person("+12025550123", "ada-lovelace")


@pytest.fixture
def bob():
    return person("+12025550124", "bob")


def vote(poll, number, text):
    return Ballot.objects.cast(poll, number, [poll.choices.get(text=text).pk])


def kept_pages():
    return kept.pages_in(kept.pages.values())


def change_unseen(poll, **values):
    """Change a poll as another process does: no signal is sent in this one."""
    QuerySet(Poll).filter(pk=poll.pk).update(**values)


def rename_unseen(poll, question):
    change_unseen(poll, question=question)


def without_tokens(text):
    return TOKEN.sub("", text)


@pytest.mark.parametrize("page", ["list", "share", "login", "register"])
def test_strangers_are_shown_the_same_page(client, poll, django_assert_num_queries, page):
    urls = {"list": LIST, "share": reverse("share", args=[poll.slug])}
    url = urls.get(page) or with_next(page, f"{poll.url('ballot')}?choice=7")
    first = client.get(url).text
    with django_assert_num_queries(0):
        second = Client().get(url).text
    assert without_tokens(second) == without_tokens(first)
    assert len(kept_pages()) == 1


@pytest.mark.parametrize("page", ["ballot", "results"])
def test_voters_are_shown_the_same_page(ada, bob, poll, django_assert_num_queries, page):
    ada.get(poll.url(page))
    with django_assert_num_queries(3) as queries:
        text = bob.get(poll.url(page)).text
    assert "polls_poll" not in str([query["sql"] for query in queries])
    assert "Tea or coffee?" in text


@pytest.mark.parametrize("page", ["ballot", "results"])
@pytest.mark.parametrize("username", ["bob", "<b>&amp;", "b" * 40], ids=str)
def test_each_finds_their_own_name_on_it(ada, poll, monkeypatch, time_machine, page, username):
    time_machine.move_to(timezone.now(), tick=False)
    ada.get(poll.url(page))
    bob = person("+12025550124", username)
    text = bob.get(poll.url(page)).text
    assert "ada-lovelace" not in text
    monkeypatch.setattr("polls.kept.KEPT", 0)
    assert without_tokens(text) == without_tokens(bob.get(poll.url(page)).text)


def test_each_finds_their_own_token_on_it(ada, bob, poll):
    ada.get(poll.url("ballot"))
    page = bob.get(poll.url("ballot")).text
    tokens = TOKEN.findall(page)
    assert len(tokens) == 2
    answer = {"choice": poll.choices.first().pk}
    response = bob.post(poll.url("vote"), answer | {"csrfmiddlewaretoken": tokens[-1]})
    assert response["Location"] == poll.url("results")
    assert (
        ada.post(poll.url("vote"), answer | {"csrfmiddlewaretoken": tokens[-1]}).status_code == 403
    )
    assert Ballot.objects.count() == 1


def test_a_stranger_gets_a_cookie_for_the_token(poll):
    url = reverse("share", args=[poll.slug])
    Client().get(url)
    client = Client(enforce_csrf_checks=True)
    (token,) = TOKEN.findall(client.get(url).text)
    response = client.post(poll.url("vote"), {"csrfmiddlewaretoken": token})
    assert response["Location"].startswith("/login/")


@pytest.mark.parametrize("name", ["login", "register"])
def test_each_form_leads_on_to_its_own_page(client, poll, name):
    for next_url in [poll.url("ballot"), LIST]:
        assert f'name="next" value="{next_url}"' in client.get(with_next(name, next_url)).text


def test_the_words_that_stand_for_them_are_on_no_page(client, ada, poll):
    for browser, url in [
        (client, LIST),
        (client, reverse("share", args=[poll.slug])),
        (ada, poll.url("ballot")),
        (ada, poll.url("results")),
    ]:
        for _ in range(2):
            text = browser.get(url).text
            assert kept.TOKEN not in text
            assert kept.NAME not in text


def test_everybody_sees_their_own_vote(ada, bob, poll):
    vote(poll, "+12025550123", "Tea")
    for page in ["ballot", "results"]:
        assert ada.get(poll.url(page)).text.count('<span class="badge">Your vote</span>') == 1
        assert "Your vote</span>" not in bob.get(poll.url(page)).text
    vote(poll, "+12025550124", "Coffee")
    for page in ["ballot", "results"]:
        text = bob.get(poll.url(page)).text
        assert re.search(r'Coffee *<span class="badge">Your vote', text)


def test_whoever_has_voted_finds_that_vote_in_the_count(ada, bob, poll):
    vote(poll, "+12025550124", "Tea")
    assert "1 voter," in bob.get(poll.url("results")).text
    vote(poll, "+12025550123", "Tea")
    assert "2 voters," in ada.get(poll.url("results")).text
    assert "2 voters," in bob.get(poll.url("results")).text


def test_a_vote_seen_by_another_process_counts_on_the_voters_page(ada, bob, poll):
    vote(poll, "+12025550124", "Tea")
    bob.get(poll.url("results"))
    rows = dict(kept.pages.rows)
    vote(poll, "+12025550123", "Tea")
    # As if it had been made before that vote by a process that knows nothing of it.
    kept.pages.rows.update(rows)
    assert "2 voters," in ada.get(poll.url("results")).text


def test_what_one_is_told_is_told_to_nobody_else(ada, bob, poll):
    choice = poll.choices.get(text="Tea").pk
    for client in [ada, bob]:
        token = TOKEN.findall(client.get(poll.url("ballot")).text)[-1]
        client.post(poll.url("vote"), {"choice": choice, "csrfmiddlewaretoken": token})
    assert "Your vote is counted." in ada.get(poll.url("results")).text
    assert "Your vote is counted." not in ada.get(poll.url("results")).text
    assert "Your vote is counted." in bob.get(poll.url("results")).text


@pytest.mark.parametrize("is_staff", [False, True], ids=["author", "staff"])
def test_who_sees_more_is_shown_no_kept_page(ada, bob, poll, is_staff):
    draft = PollFactory(question="Secret?", published_at=None, author=bob.user)
    if is_staff:
        bob.user.is_staff = bob.user.is_superuser = True
        bob.user.save()
    Poll.objects.update(author=bob.user, results_for=Poll.ResultsFor.AUTHOR)
    if not is_staff:
        assert "0 voters." in bob.get(poll.url("results")).text
    assert bob.get(draft.url("ballot")).status_code == 200
    assert bob.get(poll.url("ballot")).status_code == 200
    assert not kept_pages()
    assert "results of this poll are not public" in ada.get(poll.url("results")).text
    assert ada.get(draft.url("ballot")).status_code == 404
    rename_unseen(poll, "Water?")
    assert "Water?" in bob.get(poll.url("results")).text


def test_a_poll_by_link_is_kept_for_those_who_have_the_link(ada, bob, poll):
    poll.is_listed = False
    poll.save()
    for client in [ada, bob]:
        response = client.get(poll.url("ballot"))
        assert response.status_code == 200
        assert response["X-Robots-Tag"] == "noindex"
        assert client.get(reverse("polls:ballot", args=[poll.pk])).status_code == 404
    assert len(kept_pages()) == 1


def test_other_addresses_of_a_page_crowd_out_none(client, ada, poll):
    choice = poll.choices.first().pk
    for query in [{"link": "madeup"}, {"choice": choice}, {"utm": "1"}]:
        assert ada.get(poll.url("ballot"), query).status_code == 200
    for query in [{"q": "tea"}, {"page": "1"}, {"show": "junk"}]:
        client.get(LIST, query)
    assert not kept_pages()


def test_the_answers_headers_are_those_of_a_fresh_page(client, ada, poll, time_machine):
    time_machine.move_to(timezone.now(), tick=False)
    urls = {LIST: client, reverse("share", args=[poll.slug]): client, poll.url("ballot"): ada}
    for url, browser in urls.items():
        fresh, again = (dict(browser.get(url).headers) for _ in range(2))
        for name in ["X-Request-ID", "Content-Length", "Expires"]:
            fresh.pop(name, None)
            again.pop(name, None)
        assert again == fresh


def test_a_change_of_a_poll_is_seen_at_once(client, poll):
    for change in [
        lambda: Poll.objects.create(question="Milk?"),
        lambda: poll.choices.create(text="Juice"),
        poll.trash,
    ]:
        before = client.get(LIST).text
        change()
        assert client.get(LIST).text != before
    assert client.get(reverse("share", args=[poll.slug])).status_code == 404


def test_the_pages_of_another_process_are_seen_in_a_moment(client, poll, monkeypatch, time_machine):
    monkeypatch.setattr("polls.kept.KEPT", 1)
    now = timezone.now()
    time_machine.move_to(now, tick=False)
    client.get(LIST)
    rename_unseen(poll, "Water?")
    assert "Tea or coffee?" in client.get(LIST).text
    time_machine.move_to(now + timedelta(seconds=1), tick=False)
    assert "Water?" in client.get(LIST).text


def test_a_clock_that_is_set_back_keeps_no_page(client, poll, time_machine):
    client.get(LIST)
    rename_unseen(poll, "Water?")
    time_machine.move_to(timezone.now() - timedelta(hours=1))
    assert "Water?" in client.get(LIST).text


def test_of_many_readers_at_once_one_makes_it_anew(client, poll, monkeypatch, time_machine):
    client.get(LIST)
    rename_unseen(poll, "Water?")
    time_machine.move_to(timezone.now() + timedelta(seconds=61))
    meanwhile = []
    found = Poll.objects.listed

    def listed():
        if not meanwhile:
            meanwhile.append(None)
            meanwhile[0] = Client().get(LIST).text
        return found()

    monkeypatch.setattr(Poll.objects, "listed", listed)
    assert "Water?" in client.get(LIST).text
    assert "Tea or coffee?" in meanwhile[0]


def test_what_a_transaction_sees_is_not_kept(client, poll):
    with transaction.atomic():
        assert "Tea or coffee?" in client.get(LIST).text
    assert not kept_pages()


def test_the_signed_in_see_the_list_as_it_is(client, ada, poll):
    client.get(LIST)
    rename_unseen(poll, "Water?")
    assert "Water?" in ada.get(LIST).text
    assert "ada-lovelace" not in client.get(LIST).text


def test_hosts_have_pages_of_their_own(client, poll, settings):
    settings.ALLOWED_HOSTS = ["testserver", "polls.example.com"]
    url = reverse("share", args=[poll.slug])
    client.get(url)
    assert "testserver" not in client.get(url, headers={"host": "polls.example.com"}).text


def test_ports_that_strangers_make_up_add_no_pages(client, poll, settings):
    settings.SITE_URL = "https://polls.example.com"
    settings.ALLOWED_HOSTS = ["polls.example.com"]
    for port in range(8000, 8020):
        client.get(LIST, headers={"host": f"polls.example.com:{port}"})
    assert len(kept_pages()) == 1


def test_the_strangers_list_is_sent_compressed_to_those_who_take_it(client, poll):
    for _ in range(2):
        response = client.get(LIST, headers={"accept-encoding": "gzip, br"})
        assert response["Content-Encoding"] == "gzip"
        assert "Tea or coffee?" in gzip.decompress(response.content).decode()
        assert "Accept-Encoding" in response["Vary"]
        response = client.get(LIST)
        assert "Content-Encoding" not in response
        assert "Tea or coffee?" in response.text
        assert "Accept-Encoding" in response["Vary"]


def test_a_strangers_form_is_sent_compressed_with_a_token_that_looks_new_each_time(client, poll):
    url, tokens = reverse("share", args=[poll.slug]), set()
    for _ in range(3):
        response = client.get(url, headers={"accept-encoding": "gzip"})
        assert response["Content-Encoding"] == "gzip"
        assert "Accept-Encoding" in response["Vary"]
        html = gzip.decompress(response.content).decode()
        tokens.update(re.findall('name="csrfmiddlewaretoken" value="([^"]+)"', html))
    assert len(tokens) == 3


def test_the_page_of_somebody_signed_in_is_not_compressed(ada, poll):
    for url in [poll.url("ballot"), poll.url("results")]:
        for _ in range(2):
            response = ada.get(url, headers={"accept-encoding": "gzip"})
            assert "Content-Encoding" not in response


def test_only_so_many_are_kept(client, monkeypatch):
    monkeypatch.setattr("polls.kept.MOST", 2)
    for show in ["open", "upcoming", "closed"]:
        client.get(LIST, {"show": show})
    assert len(kept_pages()) == 1


def test_of_long_pages_fewer_are_kept(client, monkeypatch):
    client.get(LIST)
    characters = sum(len(page.html) for page in kept_pages())
    monkeypatch.setattr("polls.kept.MOST_CHARACTERS", 3 * characters)
    for made_up in range(10):
        client.get(f"{LIST}?{'&' * made_up}")
        assert len(kept_pages()) <= 3


# How long a poll that was taken away is still shown


TAKEN = {
    "hidden": {"hidden_because": "It is spam."},
    "trashed": {"trashed_at": timezone.now()},
    "a draft again": {"published_at": None},
    "by link only": {"is_listed": False},
}


@pytest.fixture
def a_second(monkeypatch):
    monkeypatch.setattr("polls.kept.KEPT", 1)


def shows(browser, url, poll) -> bool:
    response = browser.get(url)
    return response.status_code == 200 and "Tea or coffee?" in response.text


@pytest.mark.usefixtures("a_second")
@pytest.mark.parametrize("fields", TAKEN.values(), ids=TAKEN)
def test_what_another_process_takes_away_is_gone_after_two_seconds_whatever_the_load(
    client, ada, poll, time_machine, fields
):
    now = timezone.now()
    time_machine.move_to(now, tick=False)
    pages = [(client, LIST), (ada, poll.url("ballot")), (ada, poll.url("results"))]
    if "is_listed" not in fields:
        pages.append((client, reverse("share", args=[poll.slug])))
    assert all(shows(*page, poll) for page in pages)
    change_unseen(poll, **fields)
    for step in range(1, 60):
        time_machine.move_to(now + timedelta(seconds=step * 0.2), tick=False)
        shown = [shows(*page, poll) for page in pages for _ in range(3)]
        if step * 0.2 >= 2:
            assert not any(shown)


@pytest.mark.usefixtures("a_second")
def test_a_page_that_cannot_be_rebuilt_is_dropped(client, poll, time_machine):
    now, url = timezone.now(), reverse("share", args=[poll.slug])
    time_machine.move_to(now, tick=False)
    assert client.get(url).status_code == 200
    change_unseen(poll, hidden_because="It is spam.")
    time_machine.move_to(now + timedelta(seconds=1.1), tick=False)
    assert [client.get(url).status_code for _ in range(3)] == [404] * 3
    assert not kept_pages()


@pytest.mark.usefixtures("a_second")
@pytest.mark.parametrize("rule", [Poll.ResultsFor.AUTHOR, Poll.ResultsFor.AFTER_CLOSE])
def test_a_rule_that_another_process_tightens_counts_after_two_seconds(
    ada, poll, time_machine, rule
):
    now = timezone.now()
    time_machine.move_to(now, tick=False)
    assert "0 voters." in ada.get(poll.url("results")).text
    change_unseen(poll, results_for=rule)
    for step in range(1, 30):
        time_machine.move_to(now + timedelta(seconds=step * 0.1), tick=False)
        texts = [ada.get(poll.url("results")).text for _ in range(3)]
        if step >= 20:
            assert not any("0 voters." in text for text in texts)


def trashed_long_ago(poll):
    """Move the poll to the trash so that this process does not hear of it."""
    change_unseen(poll, trashed_at=timezone.now() - timedelta(days=31))
    return poll


CHANGES = {
    "save": Poll.save,
    "update": lambda poll: Poll.objects.update(question="Water?"),
    "update of one": lambda poll: Poll.objects.filter(question=poll.question).update(question="x"),
    "trash": Poll.trash,
    "hide": lambda poll: hide(poll, "It is spam."),
    "delete": Poll.delete,
    "delete of many": lambda poll: Poll.objects.all().delete(),
    "delete for good": lambda poll: trashed_long_ago(poll).delete_for_good(),
    "choice": lambda poll: poll.choices.first().delete(),
    "choices": lambda poll: poll.choices.filter(text="Tea").update(text="Mate"),
    "order of choices": lambda poll: Choice.objects.bulk_update(poll.choices.all(), ["position"]),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_made_in_this_process_clears_its_pages_and_results(client, poll, change):
    Poll.objects.update(results_for=Poll.ResultsFor.EVERYONE)
    pages = [LIST, reverse("share", args=[poll.slug]), poll.url("results"), results_json(poll)]
    for page in pages:
        assert client.get(page).status_code == 200
    assert len(kept_pages()) == 3
    assert cache.get(watching.name_of(poll.pk))
    pk = poll.pk
    change(poll)
    assert not kept_pages()
    assert cache.get(watching.name_of(pk)) is None


def test_showing_a_poll_again_clears_the_pages(client, poll):
    hide(poll, "It is spam.")
    assert "Tea or coffee?" not in client.get(LIST).text
    show_again(poll)
    assert "Tea or coffee?" in client.get(LIST).text


def test_what_is_changed_in_a_transaction_is_not_kept_from_before_it(client, poll):
    with transaction.atomic():
        poll.trash()
        # Another thread, which does not see the change yet.
        kept.pages.set("as it was", (0, None), 60)
    assert kept.pages.get("as it was") is None


@pytest.mark.parametrize("what", ["polls", "choices"])
def test_a_change_of_many_is_told_without_reading_all(poll, monkeypatch, what):
    monkeypatch.setattr("polls.models.MAX_CLEARED", 1)
    PollFactory()
    told = []

    def receive(pks, **kwargs):
        told.append(pks)

    polls_updated.connect(receive)
    try:
        if what == "polls":
            Poll.objects.update(question="x")
        else:
            Choice.objects.update(position=1)
    finally:
        polls_updated.disconnect(receive)
    assert [len(pks) for pks in told] == [1]


def results_json(poll):
    return reverse("polls:results_json", args=[poll.pk])
