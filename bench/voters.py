"""Measure the whole way of new voters, on the empty PostgreSQL of DATABASE_URL.

From the list over an account and a code to the results, under gunicorn with two processes; Vonage
answers at once. People take each step together, so that each step has its own figure: processor
time of web and database.
"""

import re
import sys
import tempfile
from functools import partial
from html import unescape
from pathlib import Path
from uuid import uuid4

import requests
from django.db import connection

from .pages import both_sites, make_polls, together, web_and_database
from .provider import fake_vonage
from .report import table

PEOPLE, AT_ONCE = 48, 4
GOAL = 120  # ms of a processor a voter
TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
HEADER = ["step", "CPU ms, web", "database", "both"]
PASSWORD = "correct horse battery"
# Nobody is to be told that there were too many from this address.
LIMITS = dict.fromkeys(["VERIFY_SENDS_PER_IP", "VERIFY_SENDS_PER_PREFIX"], "1000")


def main():
    if connection.vendor != "postgresql" or connection.introspection.table_names():
        sys.exit("bench.voters needs an empty PostgreSQL database in DATABASE_URL (make bench).")
    with tempfile.TemporaryDirectory() as directory, fake_vonage(directory) as vonage:
        vonage.handler = accept
        own = LIMITS | {
            "VONAGE_API_HOST": vonage.host,
            "REQUESTS_CA_BUNDLE": str(Path(directory) / "localhost.pem"),
        }
        with both_sites(Path(directory), **own) as (site, _):
            measure(site, make_polls()[0])
            connection.close()


def accept(request):
    """Start every verification, and find every code right."""
    if request.path == "/v2/verify":
        return 202, {"request_id": str(uuid4())}
    return 200, {"request_id": request.path.rpartition("/")[2], "status": "completed"}


class Person:
    """Somebody with a browser and a phone of their own."""

    def __init__(self, site, n):
        self.site, self.n = site, n
        self.browser = requests.Session()

    def open(self, path):
        self.came(self.browser.get(self.site + path))

    def pick(self, poll, choice):
        """Click on an answer in the list."""
        path = f"{poll.url('ballot')}?choice={choice.pk}"
        self.came(self.browser.get(self.site + path, headers={"Referer": f"{self.site}/polls/"}))

    def send(self, path, **typed):
        typed["csrfmiddlewaretoken"] = TOKEN.findall(self.page.text)[-1]
        self.came(self.browser.post(self.site + path, typed))

    def came(self, page):
        assert page.status_code == 200, f"{page.url}: {page.status_code}"
        self.page = page

    def follow(self, link):
        """Follow the last link that begins so."""
        self.open(unescape(re.findall(f'href="({link}[^"]*)"', self.page.text)[-1]))


def steps(poll, choice) -> dict:
    """Return what each person does, by name; what follows a redirect belongs to it."""
    back = {"next": poll.url("ballot")}
    return {
        "reads the list": lambda person: person.open("/polls/"),
        "picks an answer, is asked to sign in": lambda person: person.pick(poll, choice),
        "wants an account": lambda person: person.follow("/register/"),
        "registers, is asked for the phone": lambda person: person.send(
            "/register/",
            username=f"person{person.n}",
            password1=PASSWORD,
            password2=PASSWORD,
            **back,
        ),
        "types the number, is asked for the code": lambda person: person.send(
            "/2fa/create/", number=f"(202) 556-{1000 + person.n}", **back
        ),
        "types the code, sees the ballot": lambda person: person.send(
            "/2fa/confirm/", code="482913", **back
        ),
        "votes, sees the results": lambda person: person.send(poll.url("vote"), choice=choice.pk),
    }


def measure(site, poll):
    choice = poll.choices.first()
    # The first few warm the processes up.
    walk_all(site, poll, choice, range(2 * AT_ONCE))
    taken = walk_all(site, poll, choice, range(2 * AT_ONCE, 2 * AT_ONCE + PEOPLE))
    whole = [sum(parts) for parts in zip(*taken.values(), strict=True)]
    rows = [cells(name, *parts) for name, parts in taken.items()]
    table("A new voter", HEADER, [*rows, cells(f"the whole way (goal: ≤ {GOAL})", *whole)])


def walk_all(site, poll, choice, numbers) -> dict:
    """Return for each step the ms of web and database that it took a person."""
    people, taken = [Person(site, n) for n in numbers], {}
    for name, step in steps(poll, choice).items():
        before = web_and_database()
        together([partial(walk, people[n::AT_ONCE], step) for n in range(AT_ONCE)])
        pairs = zip(before, web_and_database(), strict=True)
        taken[name] = [1000 * (after - earlier) / len(people) for earlier, after in pairs]
    assert all("Your vote is counted." in person.page.text for person in people)
    return taken


def cells(name, web, database) -> list[str]:
    return [name, *(f"{ms:.1f}" for ms in (web, database, web + database))]


def walk(people, step):
    for person in people:
        step(person)


if __name__ == "__main__":
    main()
