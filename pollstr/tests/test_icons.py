"""What browsers and phones show for the site, and where they find it."""

import re
from xml.etree import ElementTree

import pytest
from django.conf import settings
from django.contrib.staticfiles import finders
from PIL import Image

pytestmark = pytest.mark.django_db


@pytest.fixture
def manifest(client):
    response = client.get("/manifest.webmanifest")
    assert response["Content-Type"] == "application/manifest+json"
    assert not response.cookies
    return response.json()


def found(url):
    return finders.find(url.removeprefix(settings.STATIC_URL))


def test_the_manifest_names_the_site_and_leads_to_it(client, manifest):
    assert manifest["name"] == "Pollstr"
    assert client.get(manifest["start_url"]).status_code == 200


def test_every_icon_is_what_the_manifest_says(manifest):
    drawn = {icon["sizes"]: icon for icon in manifest["icons"] if icon["type"] == "image/png"}
    for sizes, icon in drawn.items():
        with Image.open(found(icon["src"])) as image:
            assert (image.format, "{}x{}".format(*image.size)) == ("PNG", sizes)
    assert set(drawn) == {"192x192", "512x512"}


def test_an_icon_that_phones_cut_has_colour_up_to_its_edge(manifest):
    (icon,) = [icon for icon in manifest["icons"] if icon.get("purpose") == "maskable"]
    with Image.open(found(icon["src"])) as image:
        corners = {image.convert("RGBA").getpixel(at) for at in [(0, 0), (511, 0), (511, 511)]}
    assert len(corners) == 1
    assert corners.pop()[3] == 255


def test_pages_lead_to_the_icons(client):
    text = client.get("/login/").text
    assert '<link rel="manifest" href="/manifest.webmanifest">' in text
    (svg,) = re.findall(r'<link rel="icon" href="([^"]+)" type="image/svg\+xml">', text)
    assert ElementTree.parse(found(svg)).getroot().get("viewBox") == "0 0 32 32"  # noqa: S314
    (apple,) = re.findall(r'<link rel="apple-touch-icon" href="([^"]+)">', text)
    with Image.open(found(apple)) as image:
        assert (image.format, image.size) == ("PNG", (180, 180))
