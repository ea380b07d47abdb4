"""Take the pictures of docs/screens/ anew, in Chromium: python -m docs.screens

Each shows one page at 320, 768 and 1280 pixels: by day, by night, and from right to left. The site
runs on a database of its own, with polls that people could have made. It takes some minutes.
"""

import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import django

BASE = Path(__file__).parent.parent
SCREENS = BASE / "docs/screens"
WIDTHS = [320, 768, 1280]
TALLEST, GAP, SCALE, COLOURS = 1500, 32, 0.5, 96
GROUND = "#9a98a6"
PHONE = {"width": 390, "height": 780}
VOTERS = 240
# Which answer each voter picks, in turn.
PICKS = [1, 0, 1, 1, 3, 0, 1, 2, 1, 0, 3, 1, 0, 2]
NUMBERS = itertools.count(180)

ENGLISH = {
    "park": (
        "What should the empty lot on Mill Street become?",
        ["A playground", "A community garden", "Parking spaces", "Leave it as it is"],
    ),
    "date": ("When do we hold the summer fair?", ["6 June", "13 June", "20 June"]),
    "dishes": (
        "Which dishes should the canteen offer more often?",
        ["Lentil soup", "Pasta", "Curry", "Salads", "Pancakes"],
    ),
    "name": ("What shall we call the new ferry?", ["Aurora", "Old Bess", "Kittiwake"]),
}
AUTHORS = {"en": "grace", "ar": "ليلى"}
ARABIC = {
    "park": (
        "ماذا نصنع بالأرض الخالية في شارع الطاحونة؟",
        ["ملعب للأطفال", "حديقة للحي", "موقف سيارات", "تبقى كما هي"],
    ),
    "date": ("متى نقيم مهرجان الصيف؟", ["6 يونيو", "13 يونيو", "20 يونيو"]),
    "dishes": (
        "أي الأطباق يجب أن يقدمها المطعم أكثر؟",
        ["شوربة العدس", "المعكرونة", "الكاري", "السلطات", "الفطائر"],
    ),
    "name": ("ماذا نسمي العبّارة الجديدة؟", ["الفجر", "النورس", "اللؤلؤة"]),
}


def main():
    with tempfile.TemporaryDirectory() as directory:
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "pollstr.settings",
            "DATABASE_URL": f"sqlite:///{directory}/db.sqlite3",
            "DEBUG": "True",
            # The browser is driven from a loop, which Django would rather not share.
            "DJANGO_ALLOW_ASYNC_UNSAFE": "True",
            "OPERATOR_NAME": "Mill Street Neighbours",
            "OPERATOR_EMAIL": "hello@polls.example.com",
        }
        django.setup()
        shutil.rmtree(SCREENS, ignore_errors=True)
        SCREENS.mkdir()
        with served() as site:
            walk(site, "en", ENGLISH, ["light", "dark"])
            walk(site, "ar", ARABIC, ["light"])


@contextmanager
def served():
    from django.core.management import call_command

    from bench.provider import spare_port, wait_for

    call_command("migrate", verbosity=0)
    site = f"127.0.0.1:{spare_port()}"
    command = [sys.executable, "manage.py", "runserver", "--noreload", site]
    server = subprocess.Popen(
        command, cwd=BASE, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT
    )
    try:
        wait_for(f"http://{site}/healthz")
        yield f"http://{site}"
    finally:
        server.terminate()
        server.wait(10)


def walk(site, language, texts, schemes):
    from playwright.sync_api import sync_playwright

    from pollstr.tests.browser.chromium import browser_path

    polls, author = people_and_polls(texts, AUTHORS[language])
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path())
        for scheme in schemes:
            name = "rtl" if language == "ar" else scheme
            look = {"locale": language, "color_scheme": scheme, "reduced_motion": "reduce"}
            for page, picture in pages(browser, site, polls, author, look):
                shoot(page, SCREENS / f"{picture}-{name}.png")
            if name == "light":
                readme(browser, site, polls, author, look)
        browser.close()


def people_and_polls(texts, name):
    """Make polls with votes over two days; return them, and their author, proven by phone."""
    from django.db import connection
    from django.utils import timezone

    from polls.models import Ballot, Poll
    from polls.tests.factories import PollFactory
    from two_factor.tests.factories import TwoFactorFactory, UserFactory

    # The polls of one language at a time: those of the other are hidden from the list.
    Poll.objects.update(is_listed=False)
    now = timezone.now()
    author = TwoFactorFactory(
        user=UserFactory(username=name), number=f"+1202555{1000 + Poll.objects.count()}"
    )
    made = {}
    for age, (key, (question, choices)) in enumerate(texts.items()):
        made[key] = PollFactory(
            question=question,
            choices=choices,
            author=author.user,
            opens_at=now - timedelta(days=9 + age),
            results_for="everyone",
            max_choices=3 if key == "dishes" else 1,
        )
        ids = [choice.pk for choice in made[key].choices.all()]
        for n in range(VOTERS // (age + 1)):
            first, second = (ids[PICKS[i % len(PICKS)] % len(ids)] for i in (n, n // 3))
            several = sorted({first, second}) if key == "dishes" else [first]
            Ballot.objects.cast(made[key], f"+1202556{n:04}", several)
    Ballot.objects.cast(made["park"], str(author.number), [made["park"].choices.all()[1].pk])
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE polls_ballot SET cast_at = datetime(cast_at, '-' || (id * id % 43) || ' hours')"
        )
    made["name"].closes_at = now - timedelta(hours=2)
    made["name"].save()
    return made, author


def pages(browser, site, polls, author, look):
    """Yield each page, opened, with the name of its picture."""
    stranger = browser.new_page(base_url=site, **look)
    for path, picture in [
        ("/polls/", "list"),
        ("/polls/?q=umbrella", "list-nothing-found"),
        (f"/p/{polls['date'].slug}/", "share"),
        (polls["name"].url("results"), "results-closed"),
        (polls["park"].url("integrity"), "integrity"),
        ("/login/", "login"),
        ("/register/", "register"),
        ("/2fa/limits/", "limits"),
        ("/privacy/", "privacy"),
        ("/accessibility/", "accessibility"),
        ("/no-such-page/", "not-found"),
    ]:
        stranger.goto(path)
        yield stranger, picture
    stranger.goto("/register/")
    stranger.locator("main form button").first.click()
    yield stranger, "register-errors"
    newcomer = with_session(browser, site, look, None)
    newcomer.goto(f"/2fa/?next={polls['date'].get_absolute_url()}%3Fchoice%3D1")
    yield newcomer, "phone"
    # Another each time: one number has one code under way.
    newcomer.locator("[name=number]").fill(f"202 555 0{next(NUMBERS)}")
    newcomer.locator("main form button").first.click()
    newcomer.wait_for_url("**/2fa/verify/**")
    yield newcomer, "code"
    newcomer.locator("[name=code]").fill("000000")
    newcomer.locator("main form:has([name=code]) button").click()
    yield newcomer, "code-wrong"
    voter = with_session(browser, site, look, author)
    for path, picture in [
        (polls["date"].url("ballot"), "ballot"),
        (polls["dishes"].url("ballot"), "ballot-several"),
        (polls["park"].url("results"), "results"),
        ("/polls/mine/", "mine"),
        ("/polls/new/", "new"),
        ("/account/", "account"),
    ]:
        voter.goto(path)
        yield voter, picture
    voter.goto(polls["date"].url("ballot"))
    voter.locator("[name=choice]").nth(1).check()
    voter.locator(".ballot button").first.click()
    yield voter, "voted"
    voter.locator(".alert a").click()
    yield voter, "receipt"
    voter.goto("/2fa/recovery-codes/")
    voter.locator("main form button").first.click()
    yield voter, "recovery-codes"


def with_session(browser, site, look, two_factor):
    """Open a page for whoever has proven that phone; or for somebody new, who has proven none."""
    from django.test import Client

    from conftest import verify
    from two_factor.tests.factories import UserFactory

    client = Client()
    client.force_login(two_factor.user if two_factor else UserFactory())
    if two_factor:
        verify(client, two_factor)
    context = browser.new_context(base_url=site, **look)
    cookie = {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": site}
    context.add_cookies([cookie])
    return context.new_page()


def shoot(page, path):
    """Take the page at each width, side by side."""
    from PIL import Image

    shots = []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        shots.append(picture_of(page, full_page=True))
    height = min(TALLEST, max(shot.height for shot in shots))
    whole = Image.new("RGB", (sum(WIDTHS) + GAP * (len(shots) + 1), height + 2 * GAP), GROUND)
    left = GAP
    for shot in shots:
        whole.paste(shot.crop((0, 0, shot.width, min(shot.height, height))), (left, GAP))
        left += shot.width + GAP
    save(whole, path)


def picture_of(page, **how):
    from PIL import Image

    return Image.open(BytesIO(page.screenshot(**how))).convert("RGB")


def save(picture, path, scale=SCALE):
    from PIL import Image

    size = (round(picture.width * scale), round(picture.height * scale))
    small = picture.resize(size, Image.Resampling.LANCZOS)
    small.quantize(COLOURS, Image.Quantize.MEDIANCUT).save(path, optimize=True)


def readme(browser, site, polls, author, look):
    """Three phones in a row: a question, its results, and the results by night."""
    from PIL import Image

    shots = []
    for name, scheme in [("ballot", "light"), ("results", "light"), ("results", "dark")]:
        page = with_session(browser, site, look | {"color_scheme": scheme}, author)
        page.set_viewport_size(PHONE)
        page.goto(polls["park"].url(name))
        shots.append(picture_of(page))
    width, height = PHONE.values()
    whole = Image.new("RGB", (3 * width + 4 * GAP, height + 2 * GAP), GROUND)
    for n, shot in enumerate(shots):
        whole.paste(shot, (GAP + n * (width + GAP), GAP))
    save(whole, SCREENS / "readme.png", scale=0.7)


if __name__ == "__main__":
    main()
