"""In which language the site speaks, and that nobody gets another's."""

import json
import re

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import translation
from django.utils.formats import get_format

from polls import kept
from polls.models import Ballot
from polls.results import SAMPLES
from polls.tests.factories import PollFactory
from pollstr.tests.production import PRODUCTION
from pollstr.tests.test_settings import settings_with

pytestmark = pytest.mark.django_db
LIST, LANGUAGE = reverse("polls:list"), reverse("language")


def speaking(header):
    return Client(headers={"accept-language": header})


def html_of(response) -> str:
    return re.search("<html[^>]*>", response.text)[0]


def choose(client, code, **fields):
    return client.post(LANGUAGE, {"language": code, "next": "/login/"} | fields)


@pytest.mark.parametrize(
    ("accepted", "tag"),
    [
        ("de-AT,de;q=0.9,en;q=0.8", '<html lang="de" dir="ltr">'),
        ("pt-BR", '<html lang="pt-br" dir="ltr">'),
        ("ar-EG", '<html lang="ar" dir="rtl">'),
        ("nl,fr;q=0.5", '<html lang="fr" dir="ltr">'),
        ("nl", '<html lang="en" dir="ltr">'),
        ("", '<html lang="en" dir="ltr">'),
    ],
)
def test_the_browsers_language_is_spoken(accepted, tag):
    response = speaking(accepted).get(LIST)
    assert html_of(response) == tag
    assert response["Content-Language"] == re.search('lang="([^"]+)"', tag)[1]


def test_the_language_chosen_on_the_site_wins_and_is_kept():
    client = speaking("fr")
    response = choose(client, "de")
    assert (response.status_code, response["Location"]) == (302, "/login/")
    assert 'lang="de"' in html_of(client.get(LIST))
    cookie = client.cookies["language"]
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")
    assert cookie["max-age"] == 365 * 24 * 3600
    assert "sessionid" not in client.cookies


def test_in_production_the_cookie_is_bound_to_this_host():
    production = settings_with(**PRODUCTION)
    assert production["LANGUAGE_COOKIE_NAME"] == "__Host-language"
    assert production["LANGUAGE_COOKIE_SECURE"] is True


@pytest.mark.parametrize("next_url", ["https://elsewhere.example/", "//elsewhere.example/"])
def test_it_leads_to_no_other_site(client, next_url):
    assert "elsewhere" not in choose(client, "de", next=next_url)["Location"]


@pytest.mark.parametrize("code", ["tlh", "", "../etc", "nl", "de" * 500])
def test_a_language_that_is_none_of_ours_changes_nothing(client, code):
    choose(client, code)
    assert 'lang="en"' in html_of(client.get(LIST))


@pytest.mark.parametrize(("cookie", "tag"), [("DE", "de"), ("pT-Br", "pt-br")])
def test_a_language_has_one_name_however_a_cookie_spells_it(client, cookie, tag):
    client.cookies["language"] = cookie
    poll = PollFactory(results_for="everyone")
    response = client.get(poll.url("results"))
    assert response["Content-Language"] == tag
    assert f"{poll.url('results_json')}?language={tag}" in response.text


def test_no_other_site_chooses(client):
    response = client.post(LANGUAGE, {"language": "ar"}, headers={"sec-fetch-site": "cross-site"})
    assert response.status_code == 403
    assert not response.cookies


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "http://testserver.evil.example", "http://[::1", "x", ""],
)
def test_a_form_whose_origin_is_another_site_chooses_nothing(client, origin):
    response = client.post(LANGUAGE, {"language": "ar"}, headers={"origin": origin})
    assert response.status_code == 403
    assert not response.cookies


def test_a_form_of_our_own_tells_its_origin_and_chooses(client):
    response = client.post(LANGUAGE, {"language": "ar"}, headers={"origin": "http://testserver"})
    assert response.cookies["language"].value == "ar"


def test_it_is_chosen_by_a_form_alone(client):
    assert client.get(LANGUAGE).status_code == 405


def test_each_page_offers_every_language_in_its_own_words(client, settings):
    text = choose_form(client.get(f"{LIST}?show=closed"))
    for code, name in settings.LANGUAGES:
        assert f'value="{code}" lang="{code}"' in text
        assert f">{name}</button>" in text
    assert text.count("aria-current") == 1
    assert '<input type="hidden" name="next" value="/polls/?show=closed">' in text


def choose_form(response):
    return response.text.partition('<form class="languages"')[2].partition("</form>")[0]


def test_from_a_page_that_was_sent_it_leads_back_to_one_that_opens(verified):
    poll = PollFactory()
    response = verified.post(poll.url("vote"), {"choice": "0"})
    assert f'name="next" value="{poll.url("ballot")}"' in choose_form(response)


TOO_MANY_FIELDS = "&".join(f"field{n}" for n in range(1001))


@pytest.mark.parametrize(
    ("url", "headers", "status"),
    [
        (f"{LIST}?next=/polls/1/", {"host": "elsewhere.example"}, 400),
        (f"{LIST}?{TOO_MANY_FIELDS}", {}, 413),
        (f"/nowhere/?{TOO_MANY_FIELDS}", {}, 404),
    ],
    ids=["host", "fields", "fields and no page"],
)
def test_what_makes_no_sense_offers_languages_and_is_no_fault_of_ours(client, url, headers, status):
    client.raise_request_exception = False
    response = client.get(url, headers=headers)
    assert response.status_code == status
    assert 'value="de" lang="de"' in choose_form(response)


def test_for_right_to_left_the_whole_page_turns(client):
    assert "bootstrap.rtl.min.css" in speaking("ar").get(LIST).text
    assert "bootstrap.min.css" in client.get(LIST).text


def test_errors_are_told_in_the_visitors_language():
    assert 'lang="de"' in html_of(speaking("de").get("/nowhere/"))
    assert 'lang="ar" dir="rtl"' in html_of(speaking("ar").get("/language/"))


def test_a_fault_of_ours_is_told_in_the_visitors_language(monkeypatch, django_assert_num_queries):
    def fail(self):
        raise RuntimeError

    monkeypatch.setattr("polls.listing.PollListView.rows", fail)
    client = speaking("fr")
    client.raise_request_exception = False
    with django_assert_num_queries(0):
        response = client.get(LIST)
    assert response.status_code == 500
    assert 'lang="fr"' in html_of(response)


def test_what_fails_before_a_language_is_known_is_told_in_english(settings):
    speaking("de").get(LIST)
    assert translation.get_language() == "en"


@pytest.mark.parametrize("url", [LIST, reverse("two_factor:limits")])
def test_caches_on_the_way_keep_pages_by_language(client, url):
    assert {"Accept-Language", "Cookie"} <= set(client.get(url)["Vary"].split(", "))


@pytest.mark.parametrize("path", ["/healthz", "/robots.txt", "/sitemap.xml"])
def test_what_has_no_words_is_the_same_for_all(path):
    response = speaking("de").get(path)
    assert "Vary" not in response
    assert "Content-Language" not in response


@pytest.mark.django_db(transaction=True)
def test_readers_of_two_languages_each_get_their_own_page(monkeypatch):
    monkeypatch.setattr("polls.kept.KEPT", 60)
    kept.pages.clear()
    for _ in range(2):
        for code in ["de", "en", "ar"]:
            assert f'lang="{code}"' in html_of(speaking(code).get(LIST))
    assert len(kept.pages_in(kept.pages.values())) == 3
    kept.pages.clear()


@pytest.fixture
def german(monkeypatch):
    """A German with a few words of its own, whatever the catalog has."""
    words = {
        "%(name)s has the most votes: %(votes)s.": "%(name)s führt mit %(votes)s.",
        "One phone, one vote.": "Ein Telefon, eine Stimme.",
        "Type the code": "Code eintippen",
    }
    original = translation.trans_real.DjangoTranslation.gettext

    def gettext(self, message):
        is_german = self.language() == "de"
        return words[message] if is_german and message in words else original(self, message)

    monkeypatch.setattr("django.utils.translation.trans_real.DjangoTranslation.gettext", gettext)


def test_watchers_of_two_languages_each_get_their_own_sentence(client, german):
    poll = PollFactory(results_for="everyone", choices=["Tea", "Coffee"])
    Ballot.objects.cast(poll, "+12025550123", [poll.choices.first().pk])
    url = poll.url("results_json")
    answers = [client.get(f"{url}{query}") for query in ["", "?language=de", "?language=tlh", ""]]
    assert [answer.json()["summary"] for answer in answers] == [
        "“Tea” has the most votes: 1.",
        "„Tea“ führt mit 1.",
        "“Tea” has the most votes: 1.",
        "“Tea” has the most votes: 1.",
    ]
    assert answers[0]["ETag"] != answers[1]["ETag"]
    assert "Vary" not in answers[1]


def test_many_watchers_of_a_language_cost_no_more_than_one(client, django_assert_num_queries):
    poll = PollFactory(results_for="everyone")
    url = f"{poll.url('results_json')}?language=de"
    client.get(url)
    with django_assert_num_queries(0):
        for _ in range(20):
            client.get(url)


def test_a_vote_is_seen_by_watchers_of_each_language(client, verified):
    poll = PollFactory(results_for="everyone")
    urls = [poll.url("results_json"), f"{poll.url('results_json')}?language=ar"]
    for url in urls:
        assert client.get(url).json()["voters"] == 0
    verified.post(poll.url("vote"), {"choice": poll.choices.first().pk})
    for url in urls:
        assert client.get(url).json()["voters"] == 1


def watched(client, poll):
    text = client.get(poll.url("results")).text
    url = re.search('data-watch="([^"]+)"', text)[1]
    texts = re.search('data-texts="([^"]+)"', text)[1].replace("&quot;", '"')
    return url, json.loads(texts)


def test_a_page_follows_the_results_in_its_own_language():
    poll = PollFactory(results_for="everyone")
    url, texts = watched(speaking("de"), poll)
    assert url == f"{poll.url('results_json')}?language=de"
    assert (texts["group"], texts["decimal"]) == (".", ",")
    assert len(texts["voters"]) == len(SAMPLES)


@pytest.mark.parametrize("language", ["en", "de", "fr", "es", "pt-br", "ar"])
def test_the_samples_have_every_plural_form(language):
    with translation.override(language):
        catalog = translation.trans_real.translation(language)
        plural = catalog.plural
        forms = {plural(number) for number in [*range(200), 10**6, 10**6 + 1]}
        assert {plural(number) for number in SAMPLES} == forms


def test_no_decimal_comma_gets_into_the_picture_of_the_turnout(client, time_machine):
    poll = PollFactory(results_for="everyone")
    Ballot.objects.cast(poll, "+12025550123", [poll.choices.first().pk])
    text = speaking("de").get(poll.url("results")).text
    svg = text.partition('<svg viewBox="0')[2].partition("</svg>")[0]
    assert "viewBox" not in svg
    assert re.match(r" 0 5\.8 1\"", svg)
    assert 'width="0.8"' in svg


def test_numbers_are_written_as_the_language_does():
    poll = PollFactory(results_for="everyone")
    for number in range(3):
        Ballot.objects.cast(poll, f"+1202555012{number}", [poll.choices.first().pk])
    Ballot.objects.cast(poll, "+12025550129", [poll.choices.last().pk])
    Ballot.objects.cast(poll, "+12025550128", [poll.choices.last().pk])
    Ballot.objects.cast(poll, "+12025550127", [poll.choices.last().pk])
    Ballot.objects.cast(poll, "+12025550126", [poll.choices.last().pk])
    text = speaking("de").get(poll.url("results")).text
    assert get_format("DECIMAL_SEPARATOR", "de") == ","
    assert "42,9\N{NO-BREAK SPACE}%" in text
    assert "57,1\N{NO-BREAK SPACE}%" in text


def test_the_picture_of_a_poll_is_drawn_in_the_language_of_its_address(client, german):
    poll = PollFactory()
    url = reverse("card", args=[poll.slug])
    english, others = client.get(url), client.get(f"{url}?language=de")
    assert english.content != others.content
    assert "Vary" not in others
    page = speaking("de").get(reverse("share", args=[poll.slug])).text
    assert re.search(rf'{url}\?v=\w+&amp;language=de"', page)


def test_a_form_that_was_refused_names_no_page_to_come_back_to():
    client = Client(enforce_csrf_checks=True)
    response = client.post("/polls/1/vote/", {"choice": "1"})
    assert response.status_code == 403
    assert "/language/" in response.text
    assert 'name="next"' not in response.text.partition("/language/")[2]


def test_new_recovery_codes_have_no_way_to_another_language(verified):
    assert "/language/" in verified.get("/2fa/recovery-codes/").text
    text = verified.post("/2fa/recovery-codes/").text
    assert "They are shown only now" in text
    assert "/language/" not in text
