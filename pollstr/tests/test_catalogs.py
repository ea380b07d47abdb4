"""The catalogs in locale/: complete, true to the code, and compiled."""

import gettext
import re
import shutil
import subprocess
import sys

import pytest
from django.conf import settings

from .catalogs import LOCALE, LOCALES, messages, path_of, placeholders

MAKEFILE = settings.BASE_DIR / "Makefile"


@pytest.fixture(scope="module")
def collected(tmp_path_factory):
    """The catalogs as `make messages` makes them of today's code, in a copy of the site."""
    root = tmp_path_factory.mktemp("site")
    for name in ["pollstr", "polls", "two_factor", "templates", "locale"]:
        shutil.copytree(settings.BASE_DIR / name, root / name)
    for name in ["manage.py", "Makefile"]:
        shutil.copy(settings.BASE_DIR / name, root)
    told = subprocess.run(
        ["make", "--no-print-directory", "--dry-run", "messages", "--assume-old=.venv/installed"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    options = re.search(r"manage.py makemessages (.*)", told)[1].split()
    subprocess.run(
        [sys.executable, "manage.py", "makemessages", *options],
        cwd=root,
        check=True,
        capture_output=True,
    )
    return root / "locale"


@pytest.mark.parametrize("locale", LOCALES)
def test_a_catalog_holds_todays_texts(collected, locale):
    kept = [message.key for message in messages(path_of(locale))]
    today = [message.key for message in messages(path_of(locale, collected))]
    assert kept == today, "run make messages"


@pytest.mark.parametrize("locale", LOCALES)
def test_nothing_is_a_guess(locale):
    assert [message.msgid for message in messages(path_of(locale)) if message.is_fuzzy] == []


@pytest.mark.parametrize("locale", LOCALES)
def test_a_translation_has_the_placeholders_of_the_text(locale):
    for message in messages(path_of(locale)):
        texts = [message.msgid, message.msgid_plural or message.msgid]
        allowed = placeholders(texts[0]) | placeholders(texts[1])
        # The number may be a word where it is one alone: of each form only that it fits is asked.
        needed = (
            placeholders(texts[0]) & placeholders(texts[1]) if message.msgid_plural else allowed
        )
        for number, text in message.msgstr.items():
            if not text:
                continue
            assert placeholders(text) <= allowed, text
            if not message.msgid_plural or number == max(message.msgstr):
                assert needed <= placeholders(text), text


@pytest.mark.parametrize("locale", LOCALES)
def test_what_is_compiled_is_what_is_written(locale):
    with path_of(locale, suffix="mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)._catalog
    compiled.pop("", None)
    written = {}
    for message in messages(path_of(locale)):
        if not all(message.msgstr.values()):
            continue
        if message.msgid_plural:
            written |= {(message.name, number): text for number, text in message.msgstr.items()}
        else:
            written[message.name] = message.msgstr[0]
    assert compiled == written, "run make messages"


@pytest.mark.parametrize("locale", LOCALES)
def test_nothing_is_left_to_translate(locale):
    left = [message for message in messages(path_of(locale)) if not all(message.msgstr.values())]
    assert [message.msgid for message in left] == []


def test_there_is_a_catalog_for_each_language():
    assert sorted(path.name for path in LOCALE.iterdir()) == sorted(LOCALES)
