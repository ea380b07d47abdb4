import re
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from itertools import count
from threading import Barrier, Event
from time import sleep
from types import SimpleNamespace
from unittest.mock import patch

import pytest
from django.urls import reverse
from PIL import Image

from polls import card, picture_cache
from polls.models import Poll
from polls.sharing import plain_card
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
    start = Barrier(4)

    def ask(_):
        start.wait()
        return picture_cache.picture("this poll's", lambda: card.draw("Who is first?", ["Yes"]))

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(ask, range(4)))) == 1
    assert len(drawn) == 1


def test_no_more_than_a_few_wait_while_one_is_drawn():
    is_drawn, started = Event(), Barrier(picture_cache.MAX_DRAWING + 1)

    def draw():
        assert is_drawn.wait(10)
        return b"picture"

    def ask(n):
        started.wait()
        return picture_cache.picture(f"picture {n}", draw)

    with ThreadPoolExecutor(picture_cache.MAX_DRAWING) as pool:
        waiting = [pool.submit(ask, n) for n in range(picture_cache.MAX_DRAWING)]
        started.wait()
        while picture_cache.places.acquire(blocking=False):
            picture_cache.places.release()
            sleep(0.01)
        with pytest.raises(picture_cache.Busy):
            picture_cache.picture("another", draw)
        is_drawn.set()
        assert {each.result() for each in waiting} == {b"picture"}
    assert picture_cache.picture("another", draw) == b"picture"


def test_all_who_ask_for_one_picture_at_once_get_it():
    is_drawn, drawn = Event(), []

    def draw():
        assert is_drawn.wait(10)
        drawn.append(1)
        return b"picture"

    number = 3 * picture_cache.MAX_DRAWING
    with ThreadPoolExecutor(number) as pool:
        asked = [pool.submit(picture_cache.picture, "one", draw) for _ in range(number)]
        while not all(each.running() for each in asked):
            sleep(0.01)
        sleep(0.1)
        is_drawn.set()
        assert {each.result() for each in asked} == {b"picture"}
    assert drawn == [1]
    assert not picture_cache.begun


def test_who_waits_for_a_picture_that_does_not_come_is_told(monkeypatch):
    monkeypatch.setattr(picture_cache, "MAX_WAIT", 0.01)
    monkeypatch.setitem(picture_cache.begun, "one", Event())
    with pytest.raises(picture_cache.Busy):
        picture_cache.picture("one", lambda: b"picture")


def test_drawing_takes_a_share_of_one_processor_at_most():
    now = [1000.0]
    clock = SimpleNamespace(monotonic=lambda: now[0])

    def draw():
        now[0] += 1
        return b"picture"

    def ask_for(seconds):
        drawn = 0
        until = now[0] + seconds
        for n in count():
            if now[0] >= until:
                return drawn
            try:
                picture_cache.picture(f"{until} {n}", draw)
                drawn += 1
            except picture_cache.Busy:
                now[0] += 0.1

    with patch.object(picture_cache, "time", clock):
        picture_cache.clear()
        ask_for(100)
        assert 24 <= ask_for(100) <= 26


def test_who_comes_while_too_many_are_drawn_gets_a_card_that_fits_every_poll(client, poll, drawn):
    plain_card.cache_clear()
    client.get(url(poll))
    picture_cache.budget.credit = -1e9
    assert client.get(url(poll)).status_code == 200
    other = PollFactory(question="Cats or dogs?", choices=["Cats", "Dogs"])
    response = client.get(url(other))
    assert response.status_code == 200
    assert response["Content-Type"] == "image/png"
    assert response["Cache-Control"] == "no-store"
    assert "ETag" not in response
    assert drawn[1:] == [[""]]
    picture_cache.clear()
    assert client.get(url(other)).content != response.content


def test_what_is_kept_has_an_end(monkeypatch):
    monkeypatch.setattr(picture_cache, "MAX_BYTES", 100)
    for n in range(9):
        picture_cache.picture(str(n), lambda: b"x" * 30)
        picture_cache.picture("0", lambda: b"x" * 30)
    assert list(picture_cache.pictures.pictures) == ["7", "8", "0"]
    assert picture_cache.pictures.bytes == 90
    picture_cache.picture("as large as all", lambda: b"x" * 200)
    assert picture_cache.pictures.bytes == 0


def test_pictures_take_no_room_in_the_shared_cache(client, poll, monkeypatch):
    put = []
    monkeypatch.setattr("django.core.cache.cache.set", lambda *args, **kwargs: put.append(args))
    monkeypatch.setattr("django.core.cache.cache.add", lambda *args, **kwargs: put.append(args))
    for name in ["card", "qr_png", "qr_svg"]:
        client.get(reverse(name, args=[poll.slug]))
    assert not put


def test_its_address_changes_with_what_it_shows(client, poll):
    def address(**headers):
        page = client.get(reverse("share", args=[poll.slug]), headers=headers).text
        return page.partition('property="og:image" content="')[2].partition('"')[0]

    first = address()
    assert re.fullmatch(rf"http://testserver{url(poll)}\?v=[0-9a-f]{{16}}", first)
    assert client.get(first).content == client.get(url(poll)).content
    german = address(**{"accept-language": "de"})
    assert german.endswith("&amp;language=de")
    Poll.objects.update(question="Tea or milk?")
    second = address()
    poll.choices.filter(text="Coffee").update(text="Milk")
    third = address()
    poll.choices.filter(text="Tea").update(position=9)
    assert len({first, german.partition("&")[0], second, third, address()}) == 5
    Poll.objects.update(description="It costs nothing.", closes_at="2126-01-01T00:00:00Z")
    assert address() == address()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Tea or coffee?", "Tea or coffee?"),
        ("Größe, łódź, Đà Nẵng", "Größe, łódź, Đà Nẵng"),
        ("Ποιο χρώμα;", "Ποιο χρώμα;"),
        ("Який колір? Ђурђевак", "Який колір? Ђурђевак"),
        ("❤\ufe0f or 💔?", ""),
        ("Tea ☕ or beer?", ""),
        ("Good\ufe0f or\u200d  bad", "Good or bad"),
        ("Waving 👋🏽", ""),
        ("1\ufe0f\u20e3 or 2?", ""),
        ("🇩🇪", ""),
        ("\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", ""),
        ("To → there", ""),
        ("e\u0301te\u0301", "été"),
        ("© 2026 – “5 €”…", "© 2026 – “5 €”…"),
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
