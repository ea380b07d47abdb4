"""Measure votes and results on the empty PostgreSQL of DATABASE_URL; print Markdown tables.

Single times mean nothing on a shared machine: everything that is compared runs in turns, and the
ratios are what to read.
"""

import itertools
import os
import statistics
import sys
import threading
import time

import django

os.environ.update(DJANGO_SETTINGS_MODULE="pollstr.settings", DEBUG="True", REDIS_URL="")
django.setup()

from django.conf import settings  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402
from django.urls import reverse  # noqa: E402

from conftest import verify  # noqa: E402
from polls import kept  # noqa: E402
from polls.models import Ballot, Choice, Poll  # noqa: E402
from polls.tally import count  # noqa: E402
from polls.tests.factories import PollFactory  # noqa: E402
from two_factor.tests.factories import TwoFactorFactory  # noqa: E402

from .designs import compare_designs, designs  # noqa: E402
from .report import COMPARED, compared, percentile, table  # noqa: E402

SIZES = [10, 10_000, int(os.environ.get("BALLOTS", 1_000_000))]
SECONDS = 1.0  # of one turn
ROUNDS = 3
SPREAD = 1000  # polls

# The marks in order, which fills an index sooner.
LOAD_BALLOTS = """
    INSERT INTO polls_ballot (poll_id, mark, key_version, cast_at, revision)
    SELECT %s, lpad(n::text, 64, '0'), 1, now(), 1 FROM generate_series(1, %s) n
"""
LOAD_VOTES = """
    INSERT INTO polls_vote (ballot_id, choice_id)
    SELECT id, (%s::bigint[])[1 + id %% 4] FROM polls_ballot WHERE poll_id = %s
"""
numbers = itertools.count(1)


def verified_voter() -> Client:
    two_factor = TwoFactorFactory(number="+12025550123")
    client = Client()
    client.force_login(two_factor.user)
    verify(client, two_factor)
    return client


def poll_with(ballots: int) -> Poll:
    poll = PollFactory(choices=["Red", "Green", "Blue", "None of these"])
    choices = [choice.pk for choice in poll.choices.all()]
    with connection.cursor() as cursor:
        # Without a look at the foreign keys row by row.
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(LOAD_BALLOTS, [poll.pk, ballots])
        cursor.execute(LOAD_VOTES, [choices, poll.pk])
        cursor.execute("RESET session_replication_role")
        cursor.execute("VACUUM ANALYZE polls_ballot")
        cursor.execute("VACUUM ANALYZE polls_vote")
    return poll


def keep_on_disk(fsync: str):
    """Switch whether a commit waits for the disk."""
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER SYSTEM SET fsync = {fsync}")
        cursor.execute("SELECT pg_reload_conf()")
        # What was written before does not wait for the disk in somebody's turn.
        cursor.execute("CHECKPOINT")


def transaction_id() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_xact_id()::text::bigint")
        return cursor.fetchone()[0]


def cost_of_a_vote(client):
    poll = PollFactory()
    rows = []
    for act, choice in zip(["first vote", "changed vote"], poll.choices.all(), strict=True):
        before = transaction_id()
        with CaptureQueriesContext(connection) as captured:
            client.post(reverse("polls:vote", args=[poll.pk]), {"choice": choice.pk})
        commits = transaction_id() - before - 1
        queries = [q for q in captured if q["sql"] not in ("BEGIN", "COMMIT")]
        rows.append([act, len(queries), commits])
    table("Cost of a vote, through the whole stack", ["", "queries", "commits"], rows)


def cost_of_results(client):
    polls = {size: poll_with(size) for size in SIZES}
    counting = medians(
        {size: [seconds_of(lambda: count(polls[size])) for _ in range(3)] for size in polls}  # noqa: B023
    )
    urls = {size: reverse("polls:results", args=[poll.pk]) for size, poll in polls.items()}
    for url in urls.values():
        client.get(url)
    wall, cpu = {size: [] for size in SIZES}, {size: [] for size in SIZES}
    for _ in range(100):
        for size, url in urls.items():
            cpu_began = time.process_time()
            wall[size].append(seconds_of(lambda url=url: client.get(url)))
            cpu[size].append(time.process_time() - cpu_began)
    wall, cpu = medians(wall), medians(cpu)
    smallest = SIZES[0]
    rows = [
        [f"{size:,}", ms(counting[size]), ms(wall[size])]
        + [f"{taken[smallest] / taken[size]:.2f}" for taken in (wall, cpu)]
        for size in SIZES
    ]
    header = ["ballots", "count, ms", "page, ms", "speed, ratio to 10", "web CPU, ratio to 10"]
    table("Results page, the shared count warm", header, rows)


def size_of_a_ballot():
    """Print how many bytes a ballot takes, with its vote and both their indexes."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_total_relation_size('polls_ballot') + pg_total_relation_size('polls_vote')"
        )
        [size] = cursor.fetchone()
    print(f"A ballot with one vote takes {size / Ballot.objects.count():.0f} bytes.\n")


def ms(seconds: float) -> str:
    return f"{1000 * seconds:.1f}"


def seconds_of(function) -> float:
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def medians(samples: dict) -> dict:
    return {key: statistics.median(values) for key, values in samples.items()}


def vote_for(choice: Choice):
    Ballot.objects.cast(choice.poll, f"+1202{next(numbers):07}", [choice.pk])


def votes_for(choices: list[Choice], clients: int) -> tuple[float, float]:
    """Vote for the choices in turn, from so many threads; return votes a second, and p99 in ms."""
    latencies, turns = [], itertools.cycle(choices)
    gate = threading.Barrier(clients + 1)

    def work():
        connection.ensure_connection()
        gate.wait()
        ends = time.perf_counter() + SECONDS
        while time.perf_counter() < ends:
            latencies.append(seconds_of(lambda: vote_for(next(turns))))
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(clients)]
    for thread in threads:
        thread.start()
    gate.wait()
    took = seconds_of(lambda: [thread.join() for thread in threads])
    return len(latencies) / took, 1000 * percentile(latencies, 99)


def hot_against_spread(fsync: str, spread: list[Choice]):
    rows = []
    for clients in [8, 32]:
        runs = {"spread": [], "hot": []}
        for _ in range(ROUNDS):
            runs["spread"].append(votes_for(spread, clients))
            runs["hot"].append(votes_for(spread[:1], clients))
            # And the other way round, for what comes second may be slower for that.
            runs["hot"].append(votes_for(spread[:1], clients))
            runs["spread"].append(votes_for(spread, clients))
        rows.append([clients, *compared(runs["spread"], runs["hot"])])
    table(
        f"Ballot.objects.cast from threads of one process, fsync {fsync}",
        ["clients", *COMPARED],
        rows,
    )


def main():
    if connection.vendor != "postgresql" or connection.introspection.table_names():
        sys.exit("bench.votes needs an empty PostgreSQL database in DATABASE_URL (make bench).")
    call_command("migrate", verbosity=0)
    # Set for its defaults; left on, it would keep every query in memory.
    settings.DEBUG = False
    settings.ALLOWED_HOSTS = ["testserver"]
    # A page that is kept shows nothing of what it costs.
    kept.KEPT = 0
    client = verified_voter()
    cost_of_a_vote(client)
    cost_of_results(client)
    size_of_a_ballot()
    spread = [PollFactory().choices.first() for _ in range(SPREAD)]
    scripts = designs(spread)
    for fsync in ["off", "on"]:
        keep_on_disk(fsync)
        hot_against_spread(fsync, spread)
        compare_designs(scripts, len(spread), fsync)


if __name__ == "__main__":
    main()
