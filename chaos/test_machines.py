"""Two machines on one PostgreSQL and Redis, and the same through PgBouncer."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from pollstr.accounts import MOST_FAILED_SIGN_INS

from .journey import Browser, travel
from .servers import pgbouncer
from .test_redis import wrong_sign_in
from .voters import COUNTED

VOTERS = 200
SENDS = 5


@pytest.fixture
def two_machines(site, redis):
    """Two web servers, each with a master and two workers."""

    @contextmanager
    def serve(**changed):
        shared = {"REDIS_URL": redis.url, **changed}
        with site.served(**shared) as (one, _), site.served(**shared) as (other, _):
            yield one, other

    return serve


def test_a_voter_may_be_served_by_either_at_each_step(two_machines):
    with two_machines() as sites:
        travel(*sites)


def vote_all(site, *sites):
    """Let 200 vote once each, half of them at either site."""
    crowd = site.crowd(*sites, size=VOTERS, choices={1: [1, 2, 3, 4]})
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda voter: crowd.vote_once(voter, 1), crowd.voters))
    for voter in crowd.voters:
        for connection in voter.connections.values():
            connection.close()
    return crowd


def test_200_voters_are_counted_exactly_by_both(two_machines, site, tell):
    with two_machines() as sites:
        crowd = vote_all(site, *sites)
        counts = [results(url, site) for url in sites]
    site.check(crowd)
    assert crowd.told[COUNTED] == VOTERS
    assert counts[0] == counts[1]
    assert counts[0] == [
        sum(voter.last[1] == {choice} for voter in crowd.voters) for choice in [1, 2, 3, 4]
    ]
    tell(crowd, counts[0])


def results(url, site) -> list[int]:
    with Browser(url, session=site.people[0][0]) as browser:
        answer = browser.get("/polls/1/results.json").json()
    assert answer["voters"] == VOTERS
    return [choice["votes"] for choice in answer["choices"]]


def test_wrong_sign_ins_are_counted_over_both(two_machines):
    most = MOST_FAILED_SIGN_INS["name and address"]
    with two_machines() as sites:
        answers = [wrong_sign_in(url) for url in itertools.islice(itertools.cycle(sites), most + 2)]
    assert answers == [200] * most + [429] * 2


def test_codes_sent_are_counted_over_both_and_sent_again_by_either(two_machines, site, vonage):
    with site.connect() as connection:
        connection.execute("UPDATE two_factor_twofactor SET number = NULL")
    limits = {"VERIFY_RESEND_WAITS": "0", "VERIFY_SENDS_PER_USER": str(SENDS)}
    with two_machines(**limits) as sites, Browser(*sites, session=site.people[0][0]) as browser:
        browser.get("/polls/1/")
        answers = [browser.post("/2fa/create/", number="+12025550123")]
        answers += [browser.post("/2fa/resend/") for _ in range(SENDS + 1)]
    assert [answer.status_code for answer in answers] == [302] * SENDS + [429] * 2
    assert len([r for r in vonage.requests if r.path == "/v2/verify"]) == SENDS


@pytest.fixture
def pooled(site, postgres, empty_directory):
    """The site, whose every transaction may have another of three connections."""
    with pgbouncer(empty_directory, postgres) as port:
        database = site.env["DATABASE_URL"].rpartition("/")[2]
        url = postgres.url(database, port)
        site.env["DATABASE_URL"] = f"{url}?DISABLE_SERVER_SIDE_CURSORS=True"
        yield site


def test_everything_works_through_pgbouncer(pooled, tell):
    with pooled.served() as (url, _), pooled.served() as (other, _):
        crowd = vote_all(pooled, url, other)
        assert crowd.told[COUNTED] == VOTERS
        pooled.check(crowd)
        travel(url, other)
        close_poll(pooled, 1)
        with Browser(url, session=pooled.people[0][0]) as browser:
            # The longest of queries, row by row.
            assert len(browser.get("/polls/1/ballots.csv").text.splitlines()) > VOTERS
    assert pooled.manage("migrate", "--check", "--verbosity=0") == ""
    tell(crowd)


def close_poll(site, pk):
    with site.connect() as connection:
        connection.execute(
            "UPDATE polls_poll SET closes_at = now() - interval '1 second' WHERE id = %s", [pk]
        )
