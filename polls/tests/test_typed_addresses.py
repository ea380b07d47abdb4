"""Addresses of polls as people type them, addresses that no poll has, and guessed links."""

import pytest
from django.test import Client
from django.urls import reverse

from polls.models import Figure, Poll
from polls.typed import clean_code

from . import people
from .factories import PollFactory

pytestmark = pytest.mark.django_db
SLUG = "chyxngrsf3"
TYPED = [
    "CHYXNGRSF3",
    "Chyxngrsf3",
    "chyx-ngrsf3",
    "chyxn grsf3",
    " chyxngrsf3 ",
    "chyxngrsf3.",
    "chyxngrsf3,",
    "chyxngrsf3).",
    "chyxngrsf3-",
    "-chyxngrsf3",
    "chyxngrsf3…",
    "“chyxngrsf3”",
    "ｃｈｙｘｎｇｒｓｆ３",
    "CHYX_NGRSF3",
    "chyxngrsf3\u200b",
    "chyx\0ngrsf3",
]


@pytest.fixture
def poll():
    return PollFactory(question="Tea or coffee?", slug=SLUG)


def share(slug):
    return reverse("share", args=[slug])


@pytest.mark.parametrize("typed", TYPED)
def test_a_typed_address_leads_to_the_poll(client, poll, typed):
    response = client.get(share(typed), {"choice": "1"})
    assert response.status_code == 302
    assert response["Location"] == f"/p/{SLUG}/?choice=1"
    assert "Tea or coffee?" in client.get(share(typed), follow=True).text


@pytest.mark.parametrize("path", [f"/P/{SLUG}/", f"/P/{SLUG.upper()}/", f"/p/{SLUG.upper()}"])
def test_capital_letters_and_a_missing_slash_are_forgiven_too(client, poll, path):
    assert "Tea or coffee?" in client.get(path, follow=True).text


def test_the_right_address_leads_nowhere_else(client, poll):
    assert client.get(share(SLUG)).status_code == 200


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("typed", ["nosuchpoll", "x", "a" * 5000])
def test_an_address_that_no_poll_has_gets_a_sentence_of_its_own(client, monkeypatch, typed, debug):
    monkeypatch.setattr("django.conf.settings.DEBUG", debug)
    response = client.get(share(typed), follow=True)
    assert response.status_code == 404
    assert "<title>No poll has this address · Pollstr</title>" in response.text
    assert "Check each letter and digit." in response.text


@pytest.mark.parametrize("typed", ["…", "-", "%", "\0", "☕", "東京"])
def test_what_has_no_letter_or_digit_is_no_address(client, typed):
    assert client.get(share(typed)).status_code == 404


def test_a_draft_is_not_told_from_no_poll(client, poll):
    none = client.get(share("nosuchpoll")).text
    Poll.objects.update(published_at=None)
    assert client.get(share(SLUG)).text.replace(SLUG, "nosuchpoll") == none


@pytest.mark.parametrize(
    ("typed", "code"),
    [("AB-cd 12.", "abcd12"), ("", ""), ("ß", ""), ("é1", "1"), ("x" * 200, "x" * 100)],
)
def test_what_is_left_of_a_code(typed, code):
    assert clean_code(typed) == code


@pytest.mark.parametrize("typed", [SLUG.upper(), "chyx%00ngrsf3", "chyx-ngrsf3"])
def test_codes_that_are_sent_count_for_the_poll_that_was_typed(signed_in, poll, typed, sandbox):
    signed_in.post("/2fa/create/", {"number": "+12025550123", "next": f"/p/{typed}/"})
    assert Figure.objects.get().poll == poll


@pytest.mark.parametrize("pk", ["9" * 30, "9223372036854775808", "0"])
def test_an_id_too_large_ahead_is_no_error(signed_in, sandbox, pk):
    response = signed_in.post("/2fa/create/", {"number": "+12025550123", "next": f"/polls/{pk}/"})
    assert response.status_code == 302


# Guessing


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr("polls.views.FAILED_LOOKUPS.most", 2)


@pytest.fixture
def secret():
    return PollFactory(question="Secret?", is_listed=False, results_for="everyone")


def addresses(poll, slug):
    link = {"link": slug}
    names = ["results", "results_json", "results_csv", "integrity"]
    return [
        *(reverse(name, args=[slug]) for name in ["share", "print", "qr_svg", "qr_png", "card"]),
        *(reverse(f"polls:{name}", args=[poll.pk], query=link) for name in names),
    ]


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("n", range(9))
def test_who_guesses_links_has_to_wait_whether_one_is_right_or_not(client, secret, n):
    guess = addresses(secret, "wrong")[n]
    assert [client.get(guess).status_code for _ in range(2)] == [404, 404]
    for url in [guess, addresses(secret, secret.slug)[n], share(secret.slug)]:
        response = client.get(url)
        assert response.status_code == 429
        assert 0 < int(response["Retry-After"]) <= 3600
        assert "Secret?" not in response.text
    elsewhere = Client(REMOTE_ADDR="192.0.2.7")
    assert elsewhere.get(addresses(secret, secret.slug)[n]).status_code == 200


@pytest.mark.usefixtures("few")
def test_listed_polls_stay_open_to_the_address_of_a_guesser(client, poll, secret):
    for _ in range(3):
        client.get(share("wrong"))
    assert client.get(share(SLUG)).status_code == 200
    assert client.get(reverse("polls:list")).status_code == 200
    assert people.verified(poll).get(poll.url("ballot")).status_code == 200


@pytest.mark.usefixtures("few")
def test_the_sentence_says_when_to_try_again(client):
    for _ in range(3):
        response = client.get(share("wrong"))
    assert "Too many addresses that no poll has were tried" in response.text
    assert "Please try again in" in response.text


@pytest.mark.usefixtures("few")
def test_a_refused_guess_writes_nothing(client, django_assert_num_queries):
    for _ in range(3):
        client.get(share("wrong"))
    with django_assert_num_queries(1):
        assert client.get(share("wrong")).status_code == 429


@pytest.mark.usefixtures("few")
def test_a_poll_without_a_link_in_its_address_is_no_guess(client):
    for _ in range(5):
        assert client.get("/polls/999/integrity/").status_code == 404
