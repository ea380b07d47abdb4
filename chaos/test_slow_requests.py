"""Clients that hold on to the server while others read the polls."""

import time
from contextlib import suppress
from statistics import quantiles

import pytest
import requests

from . import slow

ROUNDS, SECONDS = 2, 1.0


def times_of_polls(url) -> list[float]:
    times, ends = [], time.monotonic() + SECONDS
    while time.monotonic() < ends:
        began = time.monotonic()
        requests.get(f"{url}/polls/", timeout=10).raise_for_status()
        times.append(time.monotonic() - began)
        time.sleep(0.01)
    return times


def p95(times) -> float:
    return quantiles(times, n=20)[-1]


@pytest.fixture(scope="module")
def url(deployment):
    from .conftest import Site

    env, cwd, people = deployment
    with Site(env, cwd, *people).served() as (url, _):
        yield url


@pytest.mark.parametrize(
    "clients",
    [
        slow.half_headers,
        slow.half_bodies,
        slow.half_chunks,
        slow.idle,
        slow.not_reading,
        slow.uploads,
    ],
)
def test_others_are_served_as_soon_as_ever(url, clients, tell):
    alone, together = [], []
    for _ in range(ROUNDS):
        alone.append(p95(times_of_polls(url)))
        with clients(url):
            # The pages that nobody reads are made.
            time.sleep(0.5)
            together.append(p95(times_of_polls(url)))
    tell(f"p95 of /polls/ {1000 * min(alone):.0f} ms alone, {1000 * min(together):.0f} ms together")
    # The best of the rounds: whatever else the machine does only adds to them. Where a client can
    # hold a thread, it takes seconds or gets no answer.
    assert min(together) <= 2 * min(alone) + 0.03


def test_a_stranger_that_sends_200_mb_is_refused_and_nothing_is_stored(url):
    sent = time.monotonic()
    answer = b""
    with suppress(ConnectionError):
        answer = slow.upload(url)
    assert time.monotonic() - sent < 10
    assert answer.startswith(b"HTTP/1.1 413")
