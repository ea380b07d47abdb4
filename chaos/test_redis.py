"""Redis that is killed, that hangs, and that comes back while people vote."""

import statistics
import time

import pytest
import requests

from pollstr.accounts import MOST_FAILED_SIGN_INS
from pollstr.caches import LEFT_ALONE

from .voters import COUNTED, TOKEN, UNKNOWN


@pytest.fixture
def site_with_redis(site, redis):
    site.env["REDIS_URL"] = redis.url
    return site


def ready(url) -> str:
    return requests.get(f"{url}/readyz", timeout=10).text


def wrong_sign_in(url) -> int:
    fields = {"username": "ada", "password": "wrong", "csrfmiddlewaretoken": TOKEN}
    cookies = {"csrftoken": TOKEN}
    return requests.post(f"{url}/login/", fields, cookies=cookies, timeout=10).status_code


def times_of_pages(url, number=30) -> list[float]:
    times = []
    for _ in range(number):
        began = time.monotonic()
        assert requests.get(f"{url}/polls/", timeout=10).status_code == 200
        times.append(time.monotonic() - began)
    return times


def test_everything_goes_on_without_redis_and_with_it_again(site_with_redis, redis, tell):
    site = site_with_redis
    with site.served() as (url, _), site.crowd(url).voting() as crowd:
        crowd.wait_for(COUNTED)
        assert ready(url) == "ok"
        redis.kill()
        crowd.wait_for(COUNTED, 100)
        times_of_pages(url)
        assert ready(url) == "failing: cache"
        redis.start()
        crowd.wait_for(COUNTED)
        assert ready(url) == "ok"
    site.check(crowd)
    assert not crowd.told[UNKNOWN]
    tell(crowd)


def test_nobody_waits_for_a_redis_that_hangs(site_with_redis, redis, tell):
    site = site_with_redis
    with site.served() as (url, _), site.crowd(url, size=4).voting() as crowd:
        crowd.wait_for(COUNTED)
        redis.hang()
        try:
            # Those who come first wait for it, for two seconds.
            crowd.wait_for(COUNTED, 8)
            times = times_of_pages(url)
            crowd.wait_for(COUNTED, 50)
        finally:
            redis.go_on()
        time.sleep(LEFT_ALONE)
        crowd.wait_for(COUNTED)
        assert ready(url) == "ok"
    site.check(crowd)
    assert not crowd.told[UNKNOWN]
    # With a wait for each use of the cache it would be seconds.
    assert statistics.median(times) < 1
    tell(f"/polls/ took {1000 * statistics.median(times):.0f} ms meanwhile", crowd)


def test_a_limit_counts_on_without_redis(site_with_redis, redis):
    most = MOST_FAILED_SIGN_INS["name and address"]
    with site_with_redis.served() as (url, _):
        before = [wrong_sign_in(url) for _ in range(most // 2)]
        redis.kill()
        away = [wrong_sign_in(url) for _ in range(most - most // 2)]
        assert wrong_sign_in(url) == 429
        redis.start()
        assert wrong_sign_in(url) == 429
    assert {*before, *away} == {200}
