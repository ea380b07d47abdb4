"""Measure pages, and 1,000 watchers of one poll, on the empty PostgreSQL of DATABASE_URL.

The site runs under gunicorn, two processes, as in production; beside it a bare Django (bench.bare).
Pages are asked for in turns. What is compared is processor time a request, of web and database
together: it says least about whatever else the machine does.
"""

import itertools
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import django

os.environ.update(DJANGO_SETTINGS_MODULE="pollstr.settings", DEBUG="True", REDIS_URL="")
django.setup()

from django.conf import settings  # noqa: E402
from django.contrib.sessions.models import Session  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402
from django.urls import reverse  # noqa: E402

from conftest import verify  # noqa: E402
from polls import watching  # noqa: E402
from polls.models import Ballot, Poll  # noqa: E402
from polls.tests.factories import PollFactory  # noqa: E402
from pollstr.sessions import hashed  # noqa: E402
from two_factor.tests.factories import TwoFactorFactory  # noqa: E402

from .provider import deployed, served  # noqa: E402
from .report import percentile, table  # noqa: E402

ROUNDS, REQUESTS, CONNECTIONS = 5, 160, 4
POLLS = 20  # a page of the list
WATCHERS, EVERY = 1000, 5  # seconds
SETTLING, WATCHED = 2, 12  # seconds: before a count of queries begins, and of it
TICKS = os.sysconf("SC_CLK_TCK")


def main():
    if connection.vendor != "postgresql" or connection.introspection.table_names():
        sys.exit("bench.pages needs an empty PostgreSQL database in DATABASE_URL (make bench).")
    with tempfile.TemporaryDirectory() as directory, both_sites(Path(directory)) as (site, bare):
        settings.DEBUG = False
        settings.ALLOWED_HOSTS = ["testserver"]
        poll, voter = make_polls()
        watcher = watcher_of(site, poll)
        compare_pages(site, bare, poll, voter, watcher)
        watch_together(site, poll, watcher)
        connection.close()


@contextmanager
def both_sites(directory, **own):
    own |= {"SECRET_KEY": settings.SECRET_KEY, "VOTER_KEY": settings.VOTER_KEY}
    own |= {"DATABASE_URL": os.environ["DATABASE_URL"], "WEB_CONCURRENCY": "2"}
    env, cwd = deployed(directory, own)
    with (
        served("pollstr.wsgi", env, cwd, "/polls/") as (site, site_process),
        served("bench.bare", env, cwd, "/") as (bare, bare_process),
    ):
        masters.update({site_process.pid, bare_process.pid})
        yield site, bare


# Processor time

masters = set()


def parents() -> dict[int, int]:
    """Return the parent of each process."""
    return {int(path.parent.name): stat(path)[1] for path in Path("/proc").glob("[0-9]*/stat")}


def stat(path: Path) -> tuple[float, int]:
    """Return how many seconds of a processor a process has had, and its parent."""
    try:
        fields = path.read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0, 0
    return (int(fields[11]) + int(fields[12])) / TICKS, int(fields[1])


def cpu() -> float:
    return sum(web_and_database())


def web_and_database() -> tuple[float, float]:
    """Return the seconds that the processes of each have had, these of the bench aside."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pid FROM pg_stat_activity WHERE pid != pg_backend_pid()")
        database = {pid for (pid,) in cursor}
    web = {pid for pid, parent in parents().items() if parent in masters}
    web_seconds, database_seconds = (
        sum(stat(Path(f"/proc/{pid}/stat"))[0] for pid in pids) for pids in (web, database)
    )
    return web_seconds, database_seconds


# Pages


def make_polls():
    polls = [PollFactory(choices=["Red", "Green", "Blue", "None"]) for _ in range(POLLS)]
    poll, two_factor = polls[-1], TwoFactorFactory(number="+12025550123")
    for n in range(10):
        Ballot.objects.cast(poll, f"+1202555{123 + n:04}", [poll.choices.first().pk])
    return poll, two_factor


def session_of(two_factor, backend="pollstr.backends.UserBackend") -> dict:
    client = Client()
    client.force_login(two_factor.user, backend)
    verify(client, two_factor)
    return {"Cookie": f"sessionid={client.cookies['sessionid'].value}"}


def session_of_bare(two_factor) -> dict:
    """Return a session that is signed in on the bare page, where keys are not hashed."""
    headers = session_of(two_factor, "django.contrib.auth.backends.ModelBackend")
    key = headers["Cookie"].partition("=")[2]
    assert Session.objects.filter(pk=hashed(key)).update(session_key=key)
    return headers


def watcher_of(site, poll) -> dict:
    key = {"X-Watch-Key": watching.key_for(poll)}
    etag, _ = Browser(site).get(address_of(poll), key, 200)
    return key | {"If-None-Match": etag}


def address_of(poll) -> str:
    return reverse("polls:results_json", args=[poll.pk])


class Browser:
    """One kept connection."""

    def __init__(self, url):
        self.connection = HTTPConnection(urlsplit(url).netloc, timeout=30)

    def get(self, path, headers, *expected):
        """Return the ETag, and the status, which must be one of those expected."""
        self.connection.request("GET", path, headers=headers)
        response = self.connection.getresponse()
        response.read()
        assert response.status in expected, f"{path}: {response.status}"
        return response.headers["ETag"], response.status


def compare_pages(site, bare, poll, two_factor, watcher):
    voter = session_of(two_factor)
    a, b = "A: bare page, anonymous", "B: bare page, signed in"
    signed_in = session_of_bare(two_factor)
    pages = {
        a: (bare, "/", {}, 200),
        b: (bare, "/", signed_in, 200),
        "list, anonymous": (site, reverse("polls:list"), {}, 200),
        "share, anonymous": (site, reverse("share", args=[poll.slug]), {}, 200),
        "ballot, verified": (site, poll.url("ballot"), voter, 200),
        "results, verified": (site, poll.url("results"), voter, 200),
        "results.json, 304": (site, address_of(poll), watcher, 304),
    }
    goals = {
        "list, anonymous": (a, 0.8),
        "share, anonymous": (a, 0.6),
        "ballot, verified": (b, 0.7),
        "results, verified": (b, 0.7),
        "results.json, 304": (b, 0.9),
    }
    cost = costs(pages)
    rows = [[name, f"{1000 * cost[name]:.2f}", "", "", ""] for name in (a, b)]
    for name, (yardstick, goal) in goals.items():
        ratio = f"{cost[yardstick] / cost[name]:.2f}"
        rows.append([name, f"{1000 * cost[name]:.2f}", yardstick[0], ratio, f"≥ {goal}"])
    table("Pages", ["page", "CPU ms a request", "against", "ratio", "goal"], rows)


def costs(pages: dict) -> dict[str, float]:
    """Return the seconds of a processor that one request of each page takes."""
    for page in pages.values():
        ask(*page)
    taken = Counter()
    for _ in range(ROUNDS):
        for name, page in pages.items():
            before = cpu()
            ask(*page)
            taken[name] += cpu() - before
    return {name: seconds / (ROUNDS * REQUESTS) for name, seconds in taken.items()}


def ask(url, path, headers, status):
    def work():
        browser = Browser(url)
        for _ in range(REQUESTS // CONNECTIONS):
            browser.get(path, headers, status)

    together([work] * CONNECTIONS)


def together(works):
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# Watchers


def watch_together(site, poll, watcher):
    # A connection that stands still tells the database what it did after ten seconds.
    time.sleep(11)
    rows = [
        watched(site, poll, watcher, "nobody votes", votes=0),
        watched(site, poll, watcher, "a vote each second", votes=1),
    ]
    header = [
        "",
        "requests/s",
        "304",
        "200",
        "p95, ms",
        "queries/s, votes' own aside",
        "CPU ms a request",
    ]
    table(
        f"{WATCHERS:,} watchers of one poll, each every {EVERY} s (goal: ≤ 10 queries/s)",
        header,
        rows,
    )


def watched(site, poll, watcher, name, votes):
    """Let them watch for a while, and say what it costs; each keeps the last ETag it was given."""
    etags = [watcher["If-None-Match"]] * WATCHERS
    turns, statuses, waits = itertools.count(), [], []
    begins, over = time.monotonic(), threading.Event()

    def work():
        browser = Browser(site)
        while not over.is_set():
            turn = next(turns)
            due = begins + turn * EVERY / WATCHERS
            time.sleep(max(0, due - time.monotonic()))
            headers = watcher | {"If-None-Match": etags[turn % WATCHERS]}
            asked = time.monotonic()
            etags[turn % WATCHERS], status = browser.get(address_of(poll), headers, 200, 304)
            waits.append(time.monotonic() - asked)
            statuses.append(status)

    def count():
        time.sleep(SETTLING)
        before = transactions(), len(statuses), cpu()
        cast = vote_for(poll, votes)
        after = transactions(), len(statuses), cpu()
        over.set()
        queries, asked, seconds = (b - a for a, b in zip(before, after, strict=True))
        taken.extend([asked / WATCHED, (queries - cast) / WATCHED, 1000 * seconds / asked])
        connection.close()

    taken = []
    together([count] + [work] * 16)
    rate, queries, cost = taken
    told = Counter(statuses)
    p95 = 1000 * percentile(waits, 95)
    return [
        name,
        f"{rate:.0f}",
        told[304],
        told[200],
        f"{p95:.0f}",
        f"{queries:.1f}",
        f"{cost:.2f}",
    ]


def vote_for(poll: Poll, a_second: int) -> int:
    """Let WATCHED seconds pass, with so many votes in each; return the transactions of that."""
    choices = [choice.pk for choice in poll.choices.all()]
    for second in range(WATCHED):
        ends = time.monotonic() + 1
        for n in range(a_second):
            Ballot.objects.cast(poll, f"+1202556{second * a_second + n:04}", [choices[second % 4]])
        time.sleep(max(0, ends - time.monotonic()))
    # The query for the choices, and the ones for the processes.
    return WATCHED * a_second + 2


def transactions() -> int:
    """Return how many the database has ended; outside of a block each query is one."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT xact_commit + xact_rollback FROM pg_stat_database"
            " WHERE datname = current_database()"
        )
        return cursor.fetchone()[0]


if __name__ == "__main__":
    main()
