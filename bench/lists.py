"""Measure lists and searches on the PostgreSQL of DATABASE_URL, of 10, 40 and 100,000 polls.

10 polls are half a page, and quicker to draw; 40 fill one, as 100,000 do. Each stand in a schema of
their own and are asked in turns, for single times mean nothing on a shared machine. MANY changes
the largest number.
"""

import os
import statistics
import sys
import time

import django

os.environ.update(DJANGO_SETTINGS_MODULE="pollstr.settings", DEBUG="True", REDIS_URL="")
django.setup()

from django.conf import settings  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402

from conftest import verify  # noqa: E402
from polls import kept, listing  # noqa: E402
from two_factor.tests.factories import TwoFactorFactory  # noqa: E402

from .report import table  # noqa: E402

SIZES = {"few": 10, "page": 40, "many": int(os.environ.get("MANY", 100_000))}
TURNS = 40

# When a poll closes that opened n minutes ago. Of the open ones all, half, or ten are open.
CLOSES = {
    "all open": "NULL",
    "half open": "CASE WHEN n % 2 = 0 THEN now() - n * interval '1 second' END",
    "ten open": "CASE WHEN n <= {many} - 10 THEN now() - n * interval '1 second' END",
}
LOAD_POLLS = """
    INSERT INTO polls_poll (question, description, opens_at, closes_at, time_zone, min_choices,
        max_choices, results_for, may_change, is_listed, forgets_voters, created_at, slug,
        published_at, hidden_because)
    SELECT 'Which colour for number ' || n || '?', 'We ask about things seen ' ||
        CASE WHEN n % 100 = 3 THEN 'seldom' ELSE 'often' END || ', and ' || md5(n::text),
        now() - n * interval '1 minute', {closes}, 'UTC', 1, 1, 'verified', true, true, false,
        now(), 's' || n, now(), ''
    FROM generate_series(1, {size}) n
"""
LOAD_CHOICES = """
    INSERT INTO polls_choice (poll_id, text, position)
    SELECT id, (ARRAY['Red', 'Green', 'Blue as ' || slug])[k], k
    FROM polls_poll, generate_series(1, 3) k
"""
PAGES = {
    "open": "/polls/",
    "closed": "/polls/?show=closed",
    "coming up": "/polls/?show=upcoming",
    "search, in every poll": "/polls/?q=colour",
    "search, beginning of it": "/polls/?q=colo",
    "search, in one of 100": "/polls/?q=seldom",
    "search, in one poll": "/polls/?q=number+{last}",
    "search, in one choice": "/polls/?q=s{last}",
    "search, in none": "/polls/?q=nowhere",
    "admin": "/admin/polls/poll/",
    "admin, open": "/admin/polls/poll/?state=open",
    "admin, search": "/admin/polls/poll/?q=number+{last}",
}


def use(schema: str):
    with connection.cursor() as cursor:
        cursor.execute(f"SET search_path TO {schema}")


def make(schema: str) -> Client:
    with connection.cursor() as cursor:
        cursor.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE; CREATE SCHEMA {schema}")
    use(schema)
    call_command("migrate", verbosity=0)
    staff = {"user__is_staff": True, "user__is_superuser": True}
    two_factor = TwoFactorFactory(number="+12025550123", **staff)
    client = Client()
    client.force_login(two_factor.user)
    verify(client, two_factor)
    return client


def fill(schema: str, closes: str):
    use(schema)
    size = SIZES[schema]
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE polls_poll CASCADE")
        cursor.execute(LOAD_POLLS.format(closes=closes.format(many=size), size=size))
        cursor.execute(LOAD_CHOICES)
        cursor.execute("VACUUM ANALYZE polls_poll")
        cursor.execute("VACUUM ANALYZE polls_choice")


def seconds_of(client: Client, url: str) -> float:
    began = time.perf_counter()
    assert client.get(url).status_code == 200
    return time.perf_counter() - began


def in_turns(clients: dict, path: str) -> dict:
    taken = {schema: [] for schema in SIZES}
    for _ in range(TURNS):
        for schema, size in SIZES.items():
            use(schema)
            url = path.format(last=size)
            taken[schema].append(seconds_of(clients[schema], url))
    return {schema: 1000 * statistics.median(times) for schema, times in taken.items()}


def measure(name: str, staff: dict):
    rows = []
    for page, path in PAGES.items():
        clients = staff if path.startswith("/admin") else dict.fromkeys(SIZES, Client())
        *fewer, many = in_turns(clients, path).values()
        taken = [f"{ms:.1f}" for ms in [*fewer, many]]
        rows.append([page, *taken, *(f"{ms / many:.2f}" for ms in fewer)])
    few, full, many = (f"{size:,}" for size in SIZES.values())
    header = ["", f"{few} polls, ms", full, many, f"speed, ratio to {few}", f"to {full}"]
    table(f"Lists, {name}", header, rows)


def main():
    if connection.vendor != "postgresql":
        sys.exit("bench.lists needs a PostgreSQL database in DATABASE_URL (make bench).")
    staff = {schema: make(schema) for schema in SIZES}
    # Set for its defaults; left on, it would keep every query in memory.
    settings.DEBUG = False
    settings.ALLOWED_HOSTS = ["testserver"]
    # A list that is kept shows nothing of what it costs.
    kept.KEPT = 0
    # One browser searches more often here than any reader.
    listing.SEARCHES.most = 10**9
    for name, closes in CLOSES.items():
        for schema in SIZES:
            fill(schema, closes)
        measure(name, staff)


if __name__ == "__main__":
    main()
