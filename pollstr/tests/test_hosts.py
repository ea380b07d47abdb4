"""Which Host headers are answered, and that links do not follow them."""

import json
import logging
import re

import pytest
from django.core import mail
from django.urls import reverse
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from polls.tests.factories import PollFactory
from pollstr.log_format import JsonFormatter
from pollstr.middleware import has_possible_port
from pollstr.tests.test_headers import assert_fenced

pytestmark = pytest.mark.django_db
SITE = "https://polls.example.com"


@pytest.fixture
def site(settings):
    settings.ALLOWED_HOSTS = ["polls.example.com", "other.example.com"]
    settings.SITE_URL = SITE
    settings.SENDS_MAIL = True


@pytest.mark.parametrize(
    "host", ["evil.example", "testserver.evil.example", "a b", "testserver@evil.example", "-", "ä"]
)
def test_a_host_that_is_not_ours_is_refused_with_a_warning(client, host, caplog):
    answer = client.get(reverse("polls:list"), headers={"Host": host})
    assert answer.status_code == 400
    assert_fenced(answer)
    [record] = [record for record in caplog.records if record.name == "pollstr.middleware"]
    assert record.levelname == "WARNING"
    assert "a host that ALLOWED_HOSTS does not name" in record.getMessage()
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.parametrize(
    ("host", "told"), [("evil.example:8000", "evil.example:8000"), ('a"b', None), ("x" * 101, None)]
)
def test_the_log_names_the_host_where_it_is_a_plain_one(client, host, told, caplog):
    client.get(reverse("polls:list"), headers={"Host": host})
    [record] = [record for record in caplog.records if record.name == "pollstr.middleware"]
    assert json.loads(JsonFormatter().format(record)).get("host") == told


@pytest.mark.parametrize(
    "port",
    ["0", "00", "080", "65536", "99999", "123456", "1" * 2331, "", "8a", "-1", "+80", "８０"],
)
def test_an_impossible_port_is_refused_before_anything_else(client, port):
    poll = PollFactory()
    for path in [reverse("polls:list"), reverse("qr_png", args=[poll.slug]), "/static/x.css"]:
        answer = client.get(path, headers={"Host": f"testserver:{port}"})
        assert answer.status_code == 400


@pytest.mark.parametrize("port", ["1", "80", "443", "8000", "65535"])
def test_a_possible_port_is_not(client, port):
    answer = client.get(reverse("polls:list"), headers={"Host": f"testserver:{port}"})
    assert answer.status_code == 200


@given(st.integers(-10, 200_000))
def test_ports_are_those_of_tcp(port):
    for host in ["a.example", "[::1]"]:
        assert has_possible_port(f"{host}:{port}") == (1 <= port <= 65535)
        assert has_possible_port(host)


@given(st.text(max_size=30))
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_host_is_an_error_of_ours(client, host):
    assert client.get("/robots.txt", headers={"Host": host}).status_code in {200, 400}


def links(text) -> set[str]:
    return set(re.findall(r"https?://[^/\"\s<]+", text)) - {
        "http://www.w3.org",
        "http://www.sitemaps.org",
        "https://schema.org",
    }


@pytest.mark.usefixtures("site")
@pytest.mark.parametrize(
    "host", ["polls.example.com:6666", "other.example.com", "polls.example.com"]
)
def test_links_on_pages_are_the_sites_whatever_host_was_asked_for(client, host):
    poll = PollFactory()
    pages = [reverse(name, args=[poll.slug]) for name in ["share", "print"]]
    for path in [*pages, "/robots.txt", "/sitemap.xml"]:
        answer = client.get(path, headers={"Host": host}, secure=True)
        assert answer.status_code == 200
        assert links(answer.text) == {SITE}


@pytest.mark.usefixtures("site")
def test_the_qr_code_is_one_whatever_host_was_asked_for(client):
    url = reverse("qr_svg", args=[PollFactory().slug])
    asked = [client.get(url, headers={"Host": host}) for host in ["other.example.com", SITE[8:]]]
    assert asked[0].content == asked[1].content


@pytest.mark.usefixtures("site")
def test_many_sitemaps_are_listed_under_the_sites_address(client, monkeypatch):
    PollFactory.create_batch(3)
    monkeypatch.setattr("polls.sharing.SITEMAP_LIMIT", 2)
    for path in ["/sitemap.xml", "/sitemap-polls.xml"]:
        answer = client.get(path, headers={"Host": "other.example.com"})
        assert links(answer.text) == {SITE}


@pytest.mark.usefixtures("site")
def test_a_link_for_a_new_password_is_the_sites(client, user):
    user.email = "ada@example.com"
    user.save()
    host = {"Host": "other.example.com:6666"}
    client.post(reverse("password_reset"), {"email": user.email}, headers=host)
    [sent] = mail.outbox
    assert links(sent.body) == {SITE}


def test_without_a_name_links_are_the_requests(client, settings):
    settings.SITE_URL = ""
    url = reverse("share", args=[PollFactory().slug])
    answer = client.get(url, headers={"Host": "localhost:8123"})
    assert links(answer.text) == {"http://localhost:8123"}


@pytest.mark.parametrize(
    ("proto", "proxies", "is_https", "told"),
    [("https", 0, True, 1), ("http", 0, True, 0), ("https", 1, True, 0), ("https", 0, False, 0)],
)
def test_a_proxy_that_is_not_believed_is_logged_once(
    client, settings, caplog, proto, proxies, is_https, told
):
    settings.TRUSTED_PROXIES, settings.SECURE_SSL_REDIRECT = proxies, is_https
    for _ in range(3):
        client.get(reverse("polls:list"), headers={"X-Forwarded-Proto": proto})
    assert caplog.text.count("set TRUSTED_PROXIES") == told
