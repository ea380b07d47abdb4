"""Web processes whose clock jumps, beside others whose clock is right."""

from contextlib import contextmanager

import pytest

from .journey import Browser
from .test_redis import times_of_pages
from .voters import COUNTED, GATE

MINUTE, DAY = 60, 24 * 3600  # seconds
WRONG_CODES = 3


@pytest.fixture
def clock(empty_directory):
    """Set by so many seconds the clock of what is served in ``moved``."""
    file = empty_directory / "clock"

    def move(offset):
        # Never empty, not even for a moment.
        new = file.with_suffix(".new")
        new.write_text(str(offset))
        new.rename(file)

    move(0)
    return move


@pytest.fixture
def moved(site, clock, empty_directory):
    @contextmanager
    def serve(**changed):
        changed |= {"CLOCK": str(empty_directory / "clock")}
        with site.served(application="chaos.moved", **changed) as (url, _):
            yield url

    return serve


def test_no_vote_is_counted_twice_while_a_clock_jumps(site, moved, clock, tell):
    with site.served() as (url, _), moved() as other, site.crowd(url, other).voting() as crowd:
        for offset in [30 * MINUTE, -30 * MINUTE, 20 * MINUTE, 0]:
            clock(offset)
            crowd.wait_for(COUNTED, 30)
            times_of_pages(other, 5)
        assert not crowd.told[GATE]
    site.check(crowd)
    tell(crowd)


def test_a_jump_by_days_asks_for_a_proof_again_and_loses_nothing(site, moved, clock, tell):
    with moved() as url, site.crowd(url).voting() as crowd:
        crowd.wait_for(COUNTED)
        clock(3 * DAY)
        crowd.wait_for(GATE)
        times_of_pages(url, 5)
        clock(-3 * DAY)
        crowd.wait_for(GATE)
        times_of_pages(url, 5)
    site.check(crowd)
    tell(crowd)


def test_a_lock_begun_by_a_clock_that_ran_ahead_ends_when_that_is_set_right(
    site, moved, clock, vonage
):
    vonage.handler = lambda request: (400, {"title": "Invalid Code"})
    [session, *_] = site.sessions_with_code
    limit = {"VERIFY_MAX_FAILURES": str(WRONG_CODES)}
    with moved(**limit) as url, Browser(url, session=session) as browser:
        browser.get("/polls/")
        clock(50 * MINUTE)
        ahead = [browser.post("/2fa/confirm/", code="123456") for _ in range(WRONG_CODES + 1)]
        assert [answer.status_code for answer in ahead] == [302] * WRONG_CODES + [429]
        clock(0)
        now = [browser.post("/2fa/confirm/", code="123456") for _ in range(WRONG_CODES + 1)]
    # And it counts again: as many wrong codes, and no more.
    assert [answer.status_code for answer in now] == [302] * WRONG_CODES + [429]
    assert int(now[-1].headers["Retry-After"]) <= 600
