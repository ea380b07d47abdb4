from urllib.robotparser import RobotFileParser

import pytest

pytestmark = pytest.mark.django_db


@pytest.fixture
def robots(client):
    rules = RobotFileParser()
    rules.parse(client.get("/robots.txt").text.splitlines())
    return rules


@pytest.mark.parametrize(
    "path", ["/", "/polls/", "/polls/1/results/", "/p/abc/", "/p/abc/card.png", "/login/"]
)
def test_what_may_be_found(robots, path):
    assert robots.can_fetch("*", path)


@pytest.mark.parametrize(
    "path",
    [
        "/admin/",
        "/2fa/verify/",
        "/account/email/",
        "/account/delete/",
        "/login/?next=/polls/1/",
        "/logout/",
        "/register/",
        "/password_change/",
        "/password_reset/done/",
        "/reset/x/y/",
    ],
)
def test_what_is_the_visitors_own(robots, path):
    assert not robots.can_fetch("*", path)


def test_it_names_the_sitemap(robots, client):
    assert robots.site_maps() == ["http://testserver/sitemap.xml"]
    assert client.get("/sitemap.xml").status_code == 200


def test_it_is_plain_text_for_get_and_head(client):
    response = client.get("/robots.txt")
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert not response.cookies
    assert "Vary" not in response
    assert client.head("/robots.txt").status_code == 200
    assert client.post("/robots.txt").status_code == 405
