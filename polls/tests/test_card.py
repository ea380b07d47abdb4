from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from threading import Barrier
from types import SimpleNamespace

import pytest
from django.urls import reverse
from PIL import Image

from polls import card
from polls.models import Poll
from polls.sharing import CardView
from two_factor.tests.factories import UserFactory

from . import people
from .factories import PollFactory

pytestmark = pytest.mark.django_db
PAPER = (245, 242, 234)


@pytest.fixture
def poll():
    return PollFactory(question="Tea or coffee?", choices=["Tea", "Coffee"], author=UserFactory())


@pytest.fixture
def drawn(monkeypatch):
    """What was drawn, in order."""
    drawn, draw = [], card.draw

    def noted(question, choices):
        drawn.append([question, *choices])
        return draw(question, choices)

    monkeypatch.setattr(card, "draw", noted)
    return drawn


def url(poll):
    return reverse("card", args=[poll.slug])


def picture(png):
    return Image.open(BytesIO(png)).convert("RGB")


def is_paper(image, *box):
    """Whether nothing is drawn there; a palette moves a colour by a shade."""
    bounds = image.crop(box).getextrema()
    return all(
        abs(edge - shade) < 8 for edges, shade in zip(bounds, PAPER, strict=True) for edge in edges
    )


def test_it_is_a_picture_of_question_and_answers(client, poll, drawn):
    response = client.get(url(poll))
    assert response["Content-Type"] == "image/png"
    assert picture(response.content).size == (1200, 630)
    assert len(response.content) < 100_000
    assert drawn == [["Tea or coffee?", "Tea", "Coffee"]]


def test_it_never_says_how_votes_stand(client, poll):
    Poll.objects.update(results_for="everyone")
    before = client.get(url(poll))
    people.voter(poll)
    for browser in [client, people.author(poll), people.voter(poll)]:
        after = browser.get(url(poll))
        assert after.content == before.content
        assert after["ETag"] == before["ETag"]


def test_it_is_drawn_once(client, poll, drawn):
    first = client.get(url(poll))
    assert client.get(url(poll), {"again": "1"}).content == first.content
    assert len(drawn) == 1


def test_it_is_drawn_anew_when_the_poll_says_something_else(client, poll, drawn):
    first = client.get(url(poll))
    Poll.objects.update(question="Tea or milk?")
    second = client.get(url(poll))
    assert second["ETag"] != first["ETag"]
    poll.choices.filter(text="Coffee").update(text="Milk")
    assert client.get(url(poll))["ETag"] not in {first["ETag"], second["ETag"]}
    assert drawn[-1] == ["Tea or milk?", "Tea", "Milk"]


def test_who_has_it_is_told_so_without_drawing(client, poll, drawn, django_assert_num_queries):
    etag = client.get(url(poll))["ETag"]
    # Poll, choices.
    with django_assert_num_queries(2):
        response = client.get(url(poll), headers={"if-none-match": etag})
    assert response.status_code == 304
    assert response["ETag"] == etag
    assert len(drawn) == 1


def test_caches_may_keep_it_for_everybody(poll):
    for who in [people.anonymous, people.voter]:
        response = who(poll).get(url(poll))
        assert response["Cache-Control"] == "public, no-cache"
        assert not response.cookies
        assert "Vary" not in response


def test_of_many_who_ask_at_once_one_draws(drawn):
    choices = SimpleNamespace(all=lambda: [SimpleNamespace(text="Yes")])
    poll = SimpleNamespace(question="Who is first?", choices=choices)
    start = Barrier(4)

    def ask(_):
        view = CardView()
        view.object = poll
        start.wait()
        return view.picture("picture:of-this-poll")

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(ask, range(4)))) == 1
    assert len(drawn) == 1


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Tea or coffee?", "Tea or coffee?"),
        ("Größe, łódź, Đà Nẵng", "Größe, łódź, Đà Nẵng"),
        ("Ποιο χρώμα;", "Ποιο χρώμα;"),
        ("Який колір? Ђурђевак", "Який колір? Ђурђевак"),
        ("Tea ☕\ufe0f or  beer 🍺?", "Tea or beer ?"),
        ("An\u200b end\u202e", "An end"),
        ("今日は", ""),
        ("Tea or 茶", ""),
        ("שלום", ""),
        ("🍺", ""),
    ],
)
def test_it_shows_no_boxes_for_letters_that_it_lacks(text, shown):
    assert card.drawable(text) == shown


def test_a_question_in_other_letters_is_left_out(client, drawn):
    here = PollFactory(question="今日は何を食べますか", choices=["寿司", "天ぷら"])
    there = PollFactory(question="שלום", choices=["寿司"])
    cards = {client.get(url(poll)).content for poll in [here, there]}
    assert len(drawn) == 2
    assert len(cards) == 1
    assert not is_paper(picture(cards.pop()), 80, 170, 1120, 300)


@pytest.mark.parametrize(
    ("question", "choices"),
    [
        ("W" * 200, ["W" * 200, "Short"]),
        ("Щ" * 200, [str(n) for n in range(60)]),
        ("word " * 40, ["Yes", "No"]),
        ("?", ["x" * 60, "Yes"]),
    ],
)
def test_long_texts_stay_inside(question, choices):
    image = picture(card.draw(question, choices))
    for edge in [(0, 0, 70, 630), (1125, 0, 1200, 630), (0, 600, 1200, 630)]:
        assert is_paper(image, *edge)
    # Nor does the question run into the answers below.
    assert is_paper(image, 0, 445, 1200, 460)
    assert not is_paper(image, 80, 170, 1120, 300)
