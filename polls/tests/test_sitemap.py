import re
from datetime import timedelta

import pytest
from django.db.models import QuerySet
from django.utils import timezone

from polls.models import Poll
from polls.sharing import sitemaps

from .factories import PollFactory

pytestmark = pytest.mark.django_db
BEFORE, AFTER = timezone.now() - timedelta(days=9), timezone.now() + timedelta(days=9)


def addresses(response):
    return re.findall(r"<loc>([^<]*)</loc>", response.text)


@pytest.fixture
def small_files(monkeypatch):
    monkeypatch.setattr("polls.sharing.SITEMAP_LIMIT", 2)


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
        # How many there are, and the polls.
        with django_assert_num_queries(2):
            client.get("/sitemap.xml")


@pytest.fixture
def sitemap_time(time_machine):
    """Move to so many seconds after now."""

    def sitemap_time(seconds):
        time_machine.move_to(AFTER + timedelta(seconds=seconds), tick=False)

    sitemap_time(0)
    return sitemap_time


@pytest.mark.usefixtures("sitemap_time")
@pytest.mark.parametrize("query", ["x=1", "x=2&y", "p=1", "p=01&x=3", "&&", "q=a%00"])
@pytest.mark.parametrize("path", ["/sitemap.xml", "/sitemap-polls.xml"])
def test_whatever_strangers_add_to_its_address_it_is_the_same_file(
    client, django_assert_num_queries, path, query
):
    PollFactory()
    first = client.get(path)
    kept = len(sitemaps.rows)
    with django_assert_num_queries(0):
        assert client.get(f"{path}?{query}").content == first.content
    assert len(sitemaps.rows) == kept


@pytest.mark.usefixtures("sitemap_time")
def test_hosts_share_a_file_that_tells_each_its_own_addresses(
    client, settings, django_assert_num_queries
):
    settings.ALLOWED_HOSTS = ["*"]
    poll = PollFactory()
    client.get("/sitemap.xml")
    for n in range(3):
        with django_assert_num_queries(0):
            response = client.get("/sitemap.xml", headers={"host": f"polls{n}.example.com"})
        assert addresses(response) == [f"http://polls{n}.example.com/p/{poll.slug}/"]


def test_nobody_else_keeps_it(client):
    response = client.get("/sitemap.xml")
    assert response["Cache-Control"] == "no-cache"
    assert "Vary" not in response


@pytest.mark.parametrize(
    "fields", [{"is_listed": False}, {"hidden_because": "It is spam."}, {"trashed_at": BEFORE}]
)
def test_what_another_process_takes_away_leaves_it_within_two_seconds(client, sitemap_time, fields):
    poll = PollFactory(question="Secret?")
    assert poll.slug in client.get("/sitemap.xml").text
    QuerySet(Poll).update(**fields)
    for tenth in range(1, 40):
        sitemap_time(tenth / 10)
        texts = [client.get(f"/sitemap.xml?x={n}").text for n in range(3)]
        if tenth >= 20:
            assert not any(poll.slug in text for text in texts)


def test_what_this_process_takes_away_leaves_it_at_once(client, sitemap_time):
    poll = PollFactory()
    assert poll.slug in client.get("/sitemap.xml").text
    Poll.objects.update(is_listed=False)
    assert poll.slug not in client.get("/sitemap.xml").text


@pytest.mark.parametrize(
    "path",
    [
        "/sitemap.xml?p=9",
        "/sitemap.xml?p=x",
        "/sitemap-x.xml",
        "/sitemap-polls.xml?p=0",
        "/sitemap.xml?p=-1",
        "/sitemap.xml?p=99999999999999999999",
        "/sitemap.xml?p=",
        "/sitemap.xml?p=%00",
        "/sitemap.xml?p=²",
    ],
)
def test_a_file_that_is_not_there(client, path):
    assert client.get(path).status_code == 404


@pytest.mark.parametrize("path", ["/sitemap.xml", "/sitemap-polls.xml"])
def test_other_methods_are_refused(client, path):
    assert client.post(path).status_code == 405
    assert client.head(path).status_code == 200
