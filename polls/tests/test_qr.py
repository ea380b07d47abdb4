import gzip
from io import BytesIO

import pytest
import segno
from django.urls import reverse
from PIL import Image

from polls import picture_cache

from .factories import PollFactory

pytestmark = pytest.mark.django_db
QUIET_ZONE = 4


@pytest.fixture
def poll():
    return PollFactory()


@pytest.fixture
def code(poll):
    """The code of the poll's address, as another hand would make it."""
    return segno.make_qr(f"http://testserver/p/{poll.slug}/", error="m")


def modules_of(png):
    """Return the picture as rows of dark (1) and light (0) modules, without its quiet zone."""
    image = Image.open(BytesIO(png)).convert("1")
    border = image.point(lambda value: 255 - value).getbbox()[0]
    module = border // QUIET_ZONE
    middles = range(border + module // 2, image.width - border, module)
    return [[int(image.getpixel((x, y)) == 0) for x in middles] for y in middles]


def test_the_png_leads_to_the_page(client, poll, code):
    response = client.get(reverse("qr_png", args=[poll.slug]))
    assert response["Content-Type"] == "image/png"
    assert modules_of(response.content) == [list(row) for row in code.matrix]
    # Large enough for a poster.
    assert Image.open(BytesIO(response.content)).width > 600


def test_the_svg_leads_to_the_page(client, poll, code):
    response = client.get(reverse("qr_svg", args=[poll.slug]))
    assert response["Content-Type"] == "image/svg+xml"
    [path] = code.svg_inline().split(' d="')[1:]
    assert f'd="{path.split(chr(34))[0]}"' in response.text
    # Without a size of its own it is as large as the page wants it.
    side = code.symbol_size()[0]
    assert f'viewBox="0 0 {side} {side}"' in response.text
    assert "width=" not in response.text


def test_the_svg_is_sent_compressed(client, poll):
    address = reverse("qr_svg", args=[poll.slug])
    plain = client.get(address)
    sent = client.get(address, headers={"accept-encoding": "gzip"})
    assert gzip.decompress(sent.content) == plain.content
    assert len(sent.content) < len(plain.content) / 2
    headers = {"accept-encoding": "gzip", "if-none-match": sent["ETag"]}
    assert client.get(address, headers=headers).status_code == 304


def test_a_code_that_a_print_has_creased_can_still_be_read(code):
    assert code.error in {"M", "Q", "H"}


@pytest.mark.parametrize(("page", "vary"), [("qr_svg", "Accept-Encoding"), ("qr_png", None)])
def test_caches_may_keep_it_and_ask_after_it(
    client, monkeypatch, django_assert_num_queries, poll, page, vary
):
    address = reverse(page, args=[poll.slug])
    response = client.get(address)
    assert response["Cache-Control"] == "public, no-cache"
    assert not response.cookies
    assert response.get("Vary") == vary
    # From here on none is drawn.
    monkeypatch.setattr(segno, "make_qr", None)
    assert client.get(address).content == response.content
    with django_assert_num_queries(1):
        again = client.get(address, headers={"if-none-match": response["ETag"]})
    assert again.status_code == 304
    assert not again.content


def test_each_address_of_the_site_has_its_own(client, settings, poll):
    settings.ALLOWED_HOSTS = ["testserver", "polls.example.com"]
    address = reverse("qr_png", args=[poll.slug])
    here, there = (
        client.get(address, headers={"host": host}) for host in ["testserver", "polls.example.com"]
    )
    assert here["ETag"] != there["ETag"]
    assert here.content != there.content


@pytest.mark.parametrize("page", ["qr_svg", "qr_png"])
def test_a_host_that_no_code_can_hold_is_a_404(client, poll, page, monkeypatch):
    monkeypatch.setattr(segno, "make_qr", None)
    address = reverse(page, args=[poll.slug])
    assert client.get(address, headers={"host": f"testserver:{'8' * 3000}"}).status_code in {
        400,
        404,
    }


def test_a_long_host_has_its_code(client, settings, poll):
    host = ".".join(["x" * 62] * 4)
    settings.ALLOWED_HOSTS = [host]
    response = client.get(reverse("qr_png", args=[poll.slug]), headers={"host": host})
    assert response.status_code == 200


@pytest.mark.parametrize("page", ["qr_svg", "qr_png"])
def test_who_comes_while_too_many_are_drawn_is_asked_to_come_again(client, poll, page):
    picture_cache.budget.credit = -1e9
    response = client.get(reverse(page, args=[poll.slug]))
    assert response.status_code == 503
    assert response["Retry-After"] == "2"
    assert response["Cache-Control"] == "no-store"
    assert "ETag" not in response


def test_a_query_makes_no_other_picture(client, poll, monkeypatch):
    address = reverse("qr_png", args=[poll.slug])
    first = client.get(address)
    monkeypatch.setattr(segno, "make_qr", None)
    assert client.get(f"{address}?x=1").content == first.content
