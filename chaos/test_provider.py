"""Vonage that hangs, is slow, fails or hangs up while people prove their phones."""

import time
from threading import Event, Thread

import pytest

from two_factor.views import BUSY, UNCHECKED, UNCLEAR_START

from .conftest import answer_well
from .journey import Browser
from .test_redis import times_of_pages
from .voters import COUNTED

TIMEOUT = 2
NO_LIMITS = {"VONAGE_TIMEOUT": str(TIMEOUT), "VERIFY_MAX_FAILURES": "100"}


def slow(request):
    time.sleep(TIMEOUT / 2)
    return 500, {"title": "Internal Error"}


def faults(vonage):
    return {
        "hangs": vonage.hang,
        "is slow": slow,
        "fails": lambda request: (503, None),
        "hangs up": vonage.drop,
    }


def type_codes(url, session, over, answers):
    with Browser(url, session=session) as browser:
        while not over.is_set():
            answers.append(browser.follow(browser.post("/2fa/confirm/", code="123456")))
            over.wait(0.5)


@pytest.mark.parametrize("fault", ["hangs", "is slow", "fails", "hangs up"])
def test_the_polls_stay_quick_and_people_hear_why(site, vonage, tell, fault):
    people = site.sessions_with_code
    vonage.handler = faults(vonage)[fault]
    over, answers = Event(), []
    with site.served(**NO_LIMITS) as (url, _):
        threads = [Thread(target=type_codes, args=[url, p, over, answers]) for p in people]
        for thread in threads:
            thread.start()
        try:
            with site.crowd(url, size=4).voting() as crowd:
                time.sleep(TIMEOUT)
                times = times_of_pages(url)
                crowd.wait_for(COUNTED)
        finally:
            over.set()
            for thread in threads:
                thread.join(30)
        assert_calm(answers)
        # Nobody who reads polls waited for Vonage.
        assert max(times) < TIMEOUT
        vonage.handler = answer_well
        for session in people:
            with Browser(url, session=session) as browser:
                browser.must(browser.post("/2fa/confirm/", code="123456"), "/polls/")
    site.check(crowd)
    tell(f"{len(answers)} codes not judged, /polls/ at most {1000 * max(times):.0f} ms", crowd)


def assert_calm(answers):
    assert answers
    for answer in answers:
        assert answer.status_code == 200
        assert UNCHECKED in answer.text or BUSY in answer.text


def test_a_start_that_was_lost_is_made_again(site, vonage):
    session, _ = site.people[0]
    with site.connect() as connection:
        connection.execute("UPDATE two_factor_twofactor SET number = NULL")
    vonage.handler = vonage.hang
    with (
        site.served(**NO_LIMITS, VERIFY_RESEND_WAITS="0") as (url, _),
        Browser(url, session=session) as browser,
    ):
        browser.get("/polls/1/")
        lost = browser.follow(browser.post("/2fa/create/", number="+12025550123"))
        assert UNCLEAR_START in lost.text
        vonage.handler = answer_well
        # By then the call has ended, whatever became of it.
        time.sleep(TIMEOUT + 1)
        browser.prove("/2fa/create/", "+12025550123", "/polls/1/")
