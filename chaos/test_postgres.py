"""PostgreSQL that is stopped, without a farewell, and started while people vote."""

import requests

from .test_web import workers
from .voters import CALM, COUNTED, UNKNOWN

PAGES = ["/polls/", "/polls/?show=closed", "/polls/1/", "/polls/1/results/", "/account/"]


def test_people_are_told_calmly_while_the_database_is_away_and_it_recovers(site, postgres, tell):
    with site.served() as (url, web), site.crowd(url).voting() as crowd:
        crowd.wait_for(COUNTED, 50)
        processes = workers(web.pid)
        postgres.stop()
        try:
            crowd.wait_for(UNKNOWN, 50)
            assert_calm(url, crowd.voters[0].headers)
        finally:
            postgres.start()
        crowd.wait_for(COUNTED, 100)
        # Nobody had to restart anything.
        assert workers(web.pid) == processes
        assert requests.get(f"{url}/readyz", timeout=10).text == "ok"
    site.check(crowd)
    tell(crowd)


def assert_calm(url, headers):
    for page in PAGES:
        answer = requests.get(url + page, headers=headers, timeout=10)
        assert answer.status_code == 503
        assert CALM in answer.text
        assert answer.headers["Retry-After"] == "10"
    assert requests.get(f"{url}/healthz", timeout=10).text == "ok"
    ready = requests.get(f"{url}/readyz", timeout=10)
    assert (ready.status_code, ready.text) == (503, "failing: database")


def test_a_connection_that_is_cut_costs_one_answer_at_most(site, tell):
    with site.served() as (url, _), site.crowd(url).voting() as crowd:
        for _ in range(3):
            crowd.wait_for(COUNTED)
            with site.connect() as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid != pg_backend_pid()"
                )
        crowd.wait_for(COUNTED, 50)
    site.check(crowd)
    # Two processes with eight connections each were cut three times.
    assert crowd.told[UNKNOWN] <= 3 * 16
    tell(crowd)
