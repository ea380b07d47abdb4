from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from django.urls import reverse
from django.utils import timezone

from conftest import verify
from polls.models import Ballot, Poll
from two_factor.tests.factories import TwoFactorFactory, UserFactory

from . import people
from .factories import PollFactory

pytestmark = pytest.mark.django_db
TAKEN_AWAY = {
    "a draft": {"published_at": None},
    "in the trash": {"trashed_at": timezone.now()},
    "hidden": {"hidden_because": "It is spam."},
}
# What a poll is spread with: its page, the sheet, the codes and the card.
PAGES = ["share", "print", "qr_svg", "qr_png", "card"]
EVERYBODY = [people.anonymous, people.signed_in, people.verified]
JUNK = ["nowhere", "a" * 10_000, "%00", "a%00b", "%20", "ü", "%F0%9F%98%80", "-", "a'--"]


@pytest.fixture
def poll():
    return PollFactory(
        question="Tea or coffee?", choices=["Tea", "Coffee"], author=UserFactory(username="author")
    )


def url(poll, page="share"):
    return reverse(page, args=[poll.slug])


def checked(response):
    """Return the text of each choice that is ticked on the page."""
    poll = response.context["poll"]
    return [c.text for c in poll.choices.all() if f'value="{c.pk}" checked' in response.text]


def content_of(response, name):
    """Return what the page's head says under ``name``."""
    [found] = [line for line in response.text.splitlines() if f'="{name}" content="' in line]
    return found.split('content="')[1].rsplit('"', 1)[0]


@pytest.mark.parametrize("who", EVERYBODY)
def test_everybody_finds_question_and_ballot(poll, who):
    response = who(poll).get(url(poll))
    assert response.status_code == 200
    assert '<h1 dir="auto">Tea or coffee?</h1>' in response.text
    assert f'<form method="post" action="/polls/{poll.pk}/vote/"' in response.text
    assert response.text.count('type="radio"') == 2
    assert ">Vote</button>" in response.text


@pytest.mark.parametrize("is_listed", [True, False])
def test_an_answer_picked_by_a_stranger_is_marked_on_the_ballot(client, poll, is_listed):
    Poll.objects.update(is_listed=is_listed)
    poll.refresh_from_db()
    page = client.get(url(poll)).text
    assert "Then you prove your phone with a code; your answer is kept." in page
    coffee = poll.choices.get(text="Coffee")
    action = page.split('<form method="post" action="')[1].split('"')[0]
    location = client.post(action, {"choice": coffee.pk})["Location"]
    assert urlsplit(location).path == "/login/"
    [ballot] = parse_qs(urlsplit(location).query)["next"]
    two_factor = TwoFactorFactory()
    client.force_login(two_factor.user)
    verify(client, two_factor)
    assert checked(client.get(ballot)) == ["Coffee"]
    assert not Ballot.objects.exists()


def test_a_form_without_its_token_is_refused(client, poll):
    client.handler.enforce_csrf_checks = True
    form = {"choice": poll.choices.first().pk}
    assert client.post(poll.url("vote"), form).status_code == 403
    page = client.get(url(poll)).text
    token = page.split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]
    form["csrfmiddlewaretoken"] = token
    assert client.post(poll.url("vote"), form).status_code == 302


def test_several_answers_are_check_boxes(client):
    page = client.get(url(PollFactory(max_choices=2))).text
    assert page.count('type="checkbox"') == 2
    assert "Pick 1 to 2 answers." in page


def test_a_voter_finds_the_own_vote(poll):
    response = people.voter(poll).get(url(poll))
    assert checked(response) == ["Tea"]
    assert 'Tea <span class="badge">Your vote</span>' in response.text
    assert ">Change my vote</button>" in response.text
    assert "Then you prove your phone" not in response.text


def test_nobody_else_finds_it(poll):
    people.voter(poll)
    for who in EVERYBODY:
        response = who(poll).get(url(poll))
        assert checked(response) == []
        assert "Your vote" not in response.text


def test_an_address_ticks_nothing_for_strangers(client, poll):
    coffee = poll.choices.get(text="Coffee")
    assert checked(client.get(url(poll), {"choice": coffee.pk})) == []


def test_before_the_opening_it_says_when(client):
    text = client.get(url(PollFactory(opens_at=timezone.now() + timedelta(days=1)))).text
    assert "Opens <time" in text
    assert "<fieldset disabled>" in text
    assert ">Vote</button>" not in text
    assert "See the results" not in text


def test_after_the_close_it_says_so_and_leads_to_the_results(client):
    poll = PollFactory(closes_at=timezone.now())
    text = client.get(url(poll)).text
    assert "Closed <time" in text
    assert "<fieldset disabled>" in text
    assert f'href="/polls/{poll.pk}/results/"' in text


@pytest.mark.parametrize(
    ("results_for", "who", "is_led"),
    [
        ("everyone", people.anonymous, True),
        ("verified", people.anonymous, True),
        ("voters", people.anonymous, False),
        ("voters", people.voter, True),
        ("after_close", people.voter, False),
        ("author", people.voter, False),
        ("author", people.author, True),
    ],
)
def test_it_leads_to_results_where_they_can_be_seen(poll, results_for, who, is_led):
    Poll.objects.update(results_for=results_for)
    assert ("See the results" in who(poll).get(url(poll)).text) is is_led


def test_its_tools_need_no_script_and_no_other_site(client, poll):
    text = client.get(url(poll)).text
    link = f"http://testserver/p/{poll.slug}/"
    assert f'id="share-link" value="{link}" readonly' in text
    body = f"http%3A%2F%2Ftestserver%2Fp%2F{poll.slug}%2F"
    assert f'href="mailto:?subject=Tea%20or%20coffee%3F&amp;body={body}"' in text
    for page in PAGES[1:4]:
        assert f'href="{url(poll, page)}"' in text
    assert f'<img src="{url(poll, "qr_svg")}"' in text


def test_other_sites_are_told_how_to_show_it(client, poll):
    response = client.get(url(poll))
    base = f"http://testserver/p/{poll.slug}/"
    assert content_of(response, "og:title") == "Tea or coffee?"
    assert content_of(response, "og:description") == "Tea · Coffee"
    assert content_of(response, "description") == "Tea · Coffee"
    assert content_of(response, "og:type") == "website"
    assert content_of(response, "og:url") == base
    assert content_of(response, "og:image").startswith(f"{base}card.png?v=")
    assert content_of(response, "og:image:alt") == "Tea or coffee? One phone, one vote."
    assert content_of(response, "twitter:card") == "summary_large_image"
    size = [content_of(response, f"og:image:{side}") for side in ["width", "height"]]
    assert size == ["1200", "630"]


def test_what_other_sites_are_told_is_short_and_escaped(client):
    poll = PollFactory(question='"><script>', description=f'One\n\n"><script> {"x" * 500}')
    response = client.get(url(poll))
    assert content_of(response, "og:title") == "&quot;&gt;&lt;script&gt;"
    description = content_of(response, "og:description")
    assert description.startswith("One &quot;&gt;&lt;script&gt; xxx")
    assert description.endswith("xxx…")
    assert "<script>" not in response.text


@pytest.mark.parametrize("path", ["/p/{slug}/", "/p/{slug}/?choice=1", "/polls/{pk}/"])
def test_search_engines_are_told_one_address(poll, path):
    text = people.verified(poll).get(path.format(slug=poll.slug, pk=poll.pk)).text
    assert f'<link rel="canonical" href="http://testserver/p/{poll.slug}/">' in text


@pytest.mark.parametrize("page", ["share", "print", "ballot", "results", "integrity"])
@pytest.mark.parametrize("is_listed", [True, False])
def test_search_engines_leave_out_a_poll_by_link(poll, page, is_listed):
    Poll.objects.update(is_listed=is_listed)
    poll.refresh_from_db()
    address = url(poll, page) if page in PAGES else poll.url(page)
    response = people.verified(poll).get(address)
    assert response.status_code == 200
    assert ('<meta name="robots" content="noindex">' in response.text) is not is_listed
    assert response.get("X-Robots-Tag") == (None if is_listed else "noindex")


@pytest.mark.parametrize("page", ["qr_svg", "qr_png", "card"])
def test_search_engines_leave_out_its_pictures(client, page):
    response = client.get(url(PollFactory(is_listed=False), page))
    assert response.status_code == 200
    assert response["X-Robots-Tag"] == "noindex"


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("fields", TAKEN_AWAY.values(), ids=TAKEN_AWAY)
def test_what_was_taken_away_is_not_there(poll, fields, page):
    Poll.objects.update(**fields)
    for who in EVERYBODY:
        assert who(poll).get(url(poll, page)).status_code == 404


@pytest.mark.parametrize("who", [people.author, people.staff])
@pytest.mark.parametrize(
    ("fields", "notice"),
    [
        ({"published_at": None}, "Draft: nobody else sees this."),
        ({"hidden_because": "It is spam."}, "The reason: <bdi>It is spam.</bdi>"),
    ],
)
def test_author_and_staff_still_see_it_and_share_nothing(poll, who, fields, notice):
    Poll.objects.update(**fields)
    browser = who(poll)
    text = browser.get(url(poll)).text
    assert notice in text
    assert "<fieldset disabled>" in text
    assert ">Vote</button>" not in text
    assert "share-link" not in text
    assert "og:" not in text
    assert {browser.get(url(poll, page)).status_code for page in PAGES[1:]} == {404}


def test_a_draft_can_be_published_and_edited_from_its_preview(poll):
    Poll.objects.update(published_at=None)
    browser = people.author(poll)
    text = browser.get(url(poll)).text
    assert f'action="{reverse("polls:publish", args=[poll.pk])}"' in text
    assert f'href="{reverse("polls:edit", args=[poll.pk])}"' in text
    assert browser.post(reverse("polls:publish", args=[poll.pk]))["Location"] == url(poll)
    assert ">Publish</button>" not in browser.get(url(poll)).text


def test_nobody_sees_the_trash(poll):
    Poll.objects.update(trashed_at=timezone.now())
    for who in [people.author, people.staff]:
        assert who(poll).get(url(poll)).status_code == 404


def test_the_author_who_proved_no_phone_sees_no_draft(client, poll):
    Poll.objects.update(published_at=None)
    client.force_login(poll.author)
    assert client.get(url(poll)).status_code == 404


@pytest.mark.parametrize("slug", JUNK)
@pytest.mark.parametrize("rest", ["", "print/", "qr.svg", "qr.png", "card.png"])
def test_a_link_that_leads_nowhere(client, slug, rest):
    response = client.get(f"/p/{slug}/{rest}", follow=True)
    assert response.status_code == 404
    title = "There is no such page" if rest else "No poll has this address"
    assert f"<title>{title} · Pollstr</title>" in response.text


@pytest.mark.parametrize("page", PAGES)
def test_other_methods_are_refused(client, poll, page):
    for method in ["post", "put", "delete"]:
        response = getattr(client, method)(url(poll, page))
        assert response.status_code == 405
        assert response["Allow"] == "GET, HEAD, OPTIONS"
    assert client.head(url(poll, page)).status_code == 200


def test_no_cache_keeps_it_and_a_stranger_gets_no_session(client, poll):
    response = client.get(url(poll))
    assert "no-store" in response["Cache-Control"]
    assert response["Vary"] == "Cookie"
    assert set(response.cookies) == {"csrftoken"}


def test_another_host_gets_no_links(client, poll):
    assert client.get(url(poll), headers={"host": "evil.example"}).status_code == 400


@pytest.mark.parametrize("choices", [2, 10])
def test_queries_do_not_grow(client, django_assert_num_queries, choices):
    poll = PollFactory(choices=[f"No. {n}" for n in range(choices)])
    # Poll, choices.
    with django_assert_num_queries(2):
        client.get(url(poll))
    # Session, user with second factor; poll, choices; ballot with its votes.
    browser = people.voter(poll)
    with django_assert_num_queries(5):
        browser.get(url(poll))
