"""Measure a process of the site: how soon it answers, and how much memory it has after that.

On the empty PostgreSQL of DATABASE_URL, under gunicorn as the Procfile has it; beside it a bare
Django (bench.bare), of which each process loads the code for itself. Starts come in turns. Memory
is proportional (PSS): what processes share is parted.
"""

import os
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path

from django.conf import settings
from django.db import connection
from django.test import Client
from django.urls import reverse

from .pages import TwoFactorFactory, ask, make_polls, parents, session_of, session_of_bare
from .provider import deployed, served
from .report import table
from .voters import Person

STARTS = 7
# As in the Procfile.
PRELOAD = {"GUNICORN_CMD_ARGS": "--preload"}
HEADER = ["", "bare page", "site", "ratio", "goal"]
PSS = re.compile(r"^Pss:\s+(\d+) kB$", re.MULTILINE)


def main():
    if connection.vendor != "postgresql" or connection.introspection.table_names():
        sys.exit("bench.processes needs an empty PostgreSQL database in DATABASE_URL (make bench).")
    with tempfile.TemporaryDirectory() as directory:
        own = {name: getattr(settings, name) for name in ["SECRET_KEY", "VOTER_KEY"]}
        own |= {"WEB_CONCURRENCY": "2"}
        own |= {"DATABASE_URL": os.environ["DATABASE_URL"], "VONAGE_API_HOST": "127.0.0.1:9"}
        env, cwd = deployed(Path(directory), own)
        settings.DEBUG = False
        settings.ALLOWED_HOSTS = ["testserver"]
        table("A process", HEADER, [*memory(env, cwd), start(env, cwd)])
    connection.close()


def memory(env, cwd):
    """Return the rows of memory, after pages of each kind and a code asked for."""
    poll, voter = make_polls()
    owners = session_of(voter)
    theirs = session_of_bare(voter)
    with (
        served("pollstr.wsgi", env | PRELOAD, cwd, "/polls/") as (site, site_process),
        served("bench.bare", env, cwd, "/") as (bare, bare_process),
    ):
        ask(bare, "/", theirs, 200)
        for path in [reverse("polls:list"), poll.url("ballot"), poll.url("results")]:
            ask(site, path, owners, 200)
        # So often that each worker gets its turn.
        for _ in range(8):
            load_sdk(site, TwoFactorFactory().user)
        workers = [pss_of_workers(process) for process in (bare_process, site_process)]
        masters = [pss(process.pid) for process in (bare_process, site_process)]
    means = [statistics.mean(each) for each in workers]
    sums = [sum(each) + master for each, master in zip(workers, masters, strict=True)]
    return [
        row("memory of a worker, MiB", *means, "≤ 1.4"),
        row("of two and their master, MiB", *sums),
    ]


def load_sdk(site, user):
    """Have the worker ask Vonage for a code, where nobody answers."""
    client = Client()
    client.force_login(user, "pollstr.backends.UserBackend")
    person = Person(site, 0)
    person.browser.cookies.set("sessionid", client.cookies["sessionid"].value)
    person.open("/2fa/")
    person.send("/2fa/create/")
    assert "We could not" in person.page.text


def pss_of_workers(master) -> list[float]:
    return [pss(pid) for pid, parent in parents().items() if parent == master.pid]


def pss(pid: int) -> float:
    """Return the memory of a process, in MiB."""
    return int(PSS.search(Path(f"/proc/{pid}/smaps_rollup").read_text())[1]) / 1024


def start(env, cwd):
    """Return the row of the time from the start of gunicorn to the first page."""
    bare, site = [], []
    for _ in range(STARTS):
        bare.append(seconds_to_first_page("bench.bare", env, cwd, "/"))
        site.append(seconds_to_first_page("pollstr.wsgi", env | PRELOAD, cwd, "/polls/"))
    return row("start to first page, s", statistics.median(bare), statistics.median(site), "≤ 1.5")


def seconds_to_first_page(*what) -> float:
    began = time.monotonic()
    with served(*what):
        return time.monotonic() - began


def row(name, bare, site, goal="") -> list[str]:
    return [name, f"{bare:.2f}", f"{site:.2f}", f"{site / bare:.2f}", goal]


if __name__ == "__main__":
    main()
