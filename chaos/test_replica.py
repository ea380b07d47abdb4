"""A replica that strangers' lists are read from: late, away, and back."""

import time

import psycopg
import pytest
import requests

from polls.kept import KEPT
from polls.listing import LEFT_ALONE

from .servers import PostgreSQL
from .voters import COUNTED

LIST, SEARCH = "/polls/", "/polls/?q=umbrella"
BALLOT, QUESTION = "/polls/1/", "Which umbrella?"


@pytest.fixture
def replica(postgres, empty_directory, site):
    server = PostgreSQL(empty_directory, postgres)
    server.start()
    yield server
    server.stop()


def told(url, path, **headers) -> bool:
    """Whether the page tells of the poll, once what was kept of it is too old."""
    time.sleep(2 * KEPT)
    answer = requests.get(url + path, headers=headers, timeout=10)
    assert answer.status_code == 200
    return QUESTION in answer.text


def test_strangers_lists_are_read_there_and_nothing_is_lost_without_it(site, replica, tell):
    database = site.env["DATABASE_URL"].rpartition("/")[2]
    replica_url = replica.url(database)
    with site.served(REPLICA_URL=replica_url) as (url, _), site.crowd(url).voting() as crowd:
        with psycopg.connect(replica_url) as late, site.connect() as primary:
            late.execute("SELECT pg_wal_replay_pause()")
            primary.execute("UPDATE polls_poll SET question = %s WHERE id = 1", [QUESTION])
        assert [told(url, path) for path in (LIST, SEARCH)] == [False, False]
        voter = crowd.voters[0].headers
        assert [told(url, path, **voter) for path in (LIST, SEARCH, BALLOT)] == [True, True, True]
        replica.stop()
        crowd.wait_for(COUNTED, 50)
        assert [told(url, path) for path in (LIST, SEARCH)] == [True, True]
        replica.start()
        wait_for_news(replica_url)
        # And it is asked again.
        time.sleep(LEFT_ALONE)
        assert told(url, LIST)
        assert lists_read(replica_url)
        crowd.wait_for(COUNTED, 50)
    site.check(crowd)
    tell(crowd)


def wait_for_news(replica_url):
    with psycopg.connect(replica_url, autocommit=True) as replica:
        for _ in range(100):
            (question,) = replica.execute("SELECT question FROM polls_poll WHERE id = 1").fetchone()
            if question == QUESTION:
                return
            time.sleep(0.1)
    raise TimeoutError(question)


def lists_read(replica_url) -> int:
    """Return how many connections are open there that read polls last, but for our own."""
    with psycopg.connect(replica_url) as replica:
        (number,) = replica.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE pid != pg_backend_pid() AND query LIKE '%polls_%'"
        ).fetchone()
        return number
