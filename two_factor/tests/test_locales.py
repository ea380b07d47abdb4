from itertools import chain

import pytest
from django.urls import reverse

from two_factor.locales import LOCALES

pytestmark = pytest.mark.django_db
SDKS = [
    *["en-us", "en-gb", "es-es", "es-mx", "es-us", "it-it", "fr-fr", "de-de", "ru-ru", "hi-in"],
    *["pt-br", "pt-pt", "id-id"],
]


def locale_sent(browser, vonage, **headers):
    browser.post(reverse("two_factor:create"), {"number": "+12025550123"}, headers=headers)
    [body] = vonage.bodies
    return body["locale"]


@pytest.mark.parametrize("locale", SDKS)
def test_a_language_that_vonage_speaks_is_used(signed_in, vonage, locale):
    assert locale_sent(signed_in, vonage, accept_language=locale) == locale


def test_all_languages_of_the_sdk_are_offered():
    assert sorted(chain(*LOCALES.values())) == sorted(SDKS)


@pytest.mark.parametrize(
    ("accept_language", "locale"),
    [
        # Written otherwise.
        ("en-GB", "en-gb"),
        ("PT-BR", "pt-br"),
        # The nearest, by language.
        ("de", "de-de"),
        ("de-AT", "de-de"),
        ("de-Latn-CH", "de-de"),
        ("es", "es-es"),
        ("es-AR", "es-es"),
        ("pt", "pt-pt"),
        ("pt-AO", "pt-pt"),
        ("fr-CA", "fr-fr"),
        ("en-AU", "en-us"),
        # What the visitor would rather have.
        ("en-GB,en;q=0.9,de;q=0.8", "en-gb"),
        ("de;q=0.8,fr", "fr-fr"),
        ("en;q=0.1,it;q=0.2,ru;q=0.3", "ru-ru"),
        ("nl,de;q=0.5", "de-de"),
        ("nl-NL,nl;q=0.9,en-GB;q=0.8", "en-gb"),
        ("fr;q=0,de;q=0.1", "de-de"),
        ("*,de;q=0.5", "de-de"),
        # Nothing to go by.
        ("", "en-us"),
        ("*", "en-us"),
        ("nl", "en-us"),
        ("ja,zh-CN;q=0.9,ko;q=0.8", "en-us"),
        ("fr;q=0", "en-us"),
        # Junk.
        ("nonsense nonsense", "en-us"),
        ("de;q=nan", "en-us"),
        ("de;q=2", "en-us"),
        (";;,,;q=,", "en-us"),
        ("-", "en-us"),
        ("german", "en-us"),
        ("ｄｅ", "en-us"),
        ("de" * 5_000, "en-us"),
        ("x," * 5_000, "en-us"),
        ("de," + "x," * 5_000, "de-de"),
    ],
    ids=lambda text: text[:28],
)
def test_the_nearest_language_is_used(signed_in, vonage, accept_language, locale):
    assert locale_sent(signed_in, vonage, accept_language=accept_language) == locale


def test_without_the_header_it_is_english(signed_in, vonage):
    assert locale_sent(signed_in, vonage) == "en-us"


@pytest.mark.parametrize(
    ("chosen", "accept_language", "locale"),
    [
        ("de", "fr", "de-de"),
        ("fr", "", "fr-fr"),
        ("es", "es", "es-es"),
        ("es", "de,es-MX;q=0.5", "es-mx"),
        ("es", "es-AR", "es-es"),
        ("pt-br", "pt-PT", "pt-br"),
        ("en", "de,en-GB;q=0.5", "en-gb"),
        # Vonage has no Arabic: the next language that the browser asks for is better than English.
        ("ar", "fr", "fr-fr"),
        ("ar", "ar,fr;q=0.8,en;q=0.7", "fr-fr"),
        ("ar", "ar-EG,ar;q=0.9,de-AT;q=0.5", "de-de"),
        ("ar", "ar", "en-us"),
        ("ar", "", "en-us"),
        ("es", "ar,de", "es-es"),
        # None of the site's.
        ("nl", "fr", "fr-fr"),
        ("", "fr", "fr-fr"),
    ],
)
def test_the_language_chosen_on_the_site_wins(signed_in, vonage, chosen, accept_language, locale):
    signed_in.cookies["language"] = chosen
    assert locale_sent(signed_in, vonage, accept_language=accept_language) == locale
