import re
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.utils import timezone

from polls.models import Poll
from polls.sharing import PollSitemap

from .factories import PollFactory

pytestmark = pytest.mark.django_db
BEFORE, AFTER = timezone.now() - timedelta(days=9), timezone.now() + timedelta(days=9)


def addresses(response):
    return re.findall(r"<loc>([^<]*)</loc>", response.text)


@pytest.fixture
def small_files(monkeypatch):
    monkeypatch.setattr(PollSitemap, "limit", 2)


def test_it_lists_the_public_pages(client):
    polls = [PollFactory(), PollFactory(closes_at=timezone.now()), PollFactory(opens_at=AFTER)]
    response = client.get("/sitemap.xml")
    assert response["Content-Type"] == "application/xml"
    assert addresses(response) == [f"http://testserver/p/{poll.slug}/" for poll in polls]


@pytest.mark.parametrize(
    "fields",
    [
        {"is_listed": False},
        {"published_at": None},
        {"trashed_at": BEFORE},
        {"hidden_because": "It is spam."},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_it_tells_nothing_of_the_others(client, fields):
    PollFactory(**fields)
    assert addresses(client.get("/sitemap.xml")) == []


@pytest.mark.parametrize(
    ("fields", "changed"),
    [
        ({"published_at": BEFORE}, BEFORE),
        ({"published_at": BEFORE, "opens_at": AFTER}, BEFORE),
        ({"published_at": BEFORE, "closes_at": BEFORE + timedelta(days=2)}, "close"),
        ({"published_at": BEFORE, "closes_at": AFTER}, BEFORE),
        ({"published_at": AFTER, "opens_at": AFTER}, AFTER),
    ],
)
def test_it_tells_when_a_page_last_became_another(client, fields, changed):
    PollFactory(**fields)
    changed = BEFORE + timedelta(days=2) if changed == "close" else changed
    assert f"<lastmod>{changed:%Y-%m-%d}</lastmod>" in client.get("/sitemap.xml").text


@pytest.mark.usefixtures("small_files")
def test_what_does_not_fit_into_a_file_is_a_list_of_files(client):
    polls = PollFactory.create_batch(3)
    response = client.get("/sitemap.xml")
    assert "<sitemapindex" in response.text
    files = addresses(response)
    assert files == [f"http://testserver/sitemap-polls.xml{query}" for query in ["", "?p=2"]]
    found = [address for file in files for address in addresses(client.get(file))]
    assert found == [f"http://testserver/p/{poll.slug}/" for poll in polls]


def test_queries_do_not_grow(client, django_assert_num_queries):
    for _ in range(2):
        PollFactory()
        cache.clear()
        # How many, to see whether they fit; again, for the file; and the polls.
        with django_assert_num_queries(3):
            client.get("/sitemap.xml")


def test_it_is_made_once_an_hour(client, django_assert_num_queries):
    PollFactory()
    first = client.get("/sitemap.xml")
    assert first["Cache-Control"] == "max-age=3600"
    assert "Vary" not in first
    Poll.objects.update(is_listed=False)
    with django_assert_num_queries(0):
        assert client.get("/sitemap.xml").content == first.content


@pytest.mark.parametrize(
    "path", ["/sitemap.xml?p=9", "/sitemap.xml?p=x", "/sitemap-x.xml", "/sitemap-polls.xml?p=0"]
)
def test_a_file_that_is_not_there(client, path):
    assert client.get(path).status_code == 404


@pytest.mark.parametrize("path", ["/sitemap.xml", "/sitemap-polls.xml"])
def test_other_methods_are_refused(client, path):
    assert client.post(path).status_code == 405
    assert client.head(path).status_code == 200
