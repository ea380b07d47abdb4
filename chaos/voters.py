"""People who vote again and again, and what they were answered, to hold against the ballots."""

import itertools
import random
import threading
import time
from collections import Counter
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlencode, urlsplit

from django.test import override_settings

from bench.report import percentile
from polls.ballots import voter_mark

NOT_WRITTEN = "so it is not counted"
CALM = "Please try again in a moment"
# Longer than the site ever takes: who gives up sooner does not know what became of a vote.
PATIENCE = 30
TOKEN = "x" * 32
COUNTED, REFUSED, UNKNOWN, GATE, BROKEN = "counted", "refused", "unknown", "gate", "broken"
BALLOTS = """
    SELECT poll_id, mark, revision, choice_id
    FROM polls_ballot LEFT JOIN polls_vote ON polls_ballot.id = ballot_id
"""


class Voter:
    """One person: a browser, a number, and what each vote in each poll was answered."""

    def __init__(self, session, number):
        self.number, self.connections = number, {}
        self.headers = {
            "Cookie": f"sessionid={session}; csrftoken={TOKEN}",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        self.answers = Counter()
        # The choices of which one must be on the ballot: the last one, and any whose fate is open.
        self.last = {}

    def ask(self, site, method, path, fields=None):
        """Return status, where to, text; or nothing where no answer came."""
        connection = self.connections.setdefault(
            site, HTTPConnection(urlsplit(site).netloc, timeout=PATIENCE)
        )
        body = urlencode(fields | {"csrfmiddlewaretoken": TOKEN}) if fields else None
        try:
            connection.request(method, path, body, self.headers)
            answer = connection.getresponse()
            return answer.status, answer.headers["Location"] or "", answer.read().decode()
        except (OSError, HTTPException):
            connection.close()
            return 0, "", ""

    def vote(self, site, poll, choice) -> str:
        answer = self.ask(site, "POST", f"/polls/{poll}/vote/", {"choice": choice})
        became = outcome(poll, *answer)
        self.answers[poll, became] += 1
        if became == COUNTED:
            self.last[poll] = {choice}
        elif became == UNKNOWN:
            self.last.setdefault(poll, set()).add(choice)
        return became


def outcome(poll, status, location, text) -> str:
    """Say what somebody knows of a vote after its answer."""
    if status == 302:
        return COUNTED if location == f"/polls/{poll}/results/" else GATE
    if status == 503 and NOT_WRITTEN in text:
        return REFUSED
    return UNKNOWN if not status or (status == 503 and CALM in text) else BROKEN


class Crowd:
    """Voters of a site, or of several in turn, all at once."""

    def __init__(self, people, choices: dict[int, list[int]], *sites):
        self.voters = [Voter(*person) for person in people]
        self.choices, self.sites = choices, itertools.cycle(sites)
        self.told, self.waits = Counter(), []
        self.over = threading.Event()

    @contextmanager
    def voting(self):
        """They vote while the block runs."""
        threads = [threading.Thread(target=self.go_on, args=[voter]) for voter in self.voters]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self.over.set()
            for thread in threads:
                thread.join(2 * PATIENCE)

    def go_on(self, voter):
        while not self.over.is_set():
            self.vote_once(voter)
            # A second try at once would only tell the same.
            self.over.wait(random.uniform(0.05, 0.2))
        for connection in voter.connections.values():
            connection.close()

    def vote_once(self, voter, poll=None):
        poll = poll or random.choice(list(self.choices))
        began = time.monotonic()
        became = voter.vote(next(self.sites), poll, random.choice(self.choices[poll]))
        self.waits.append((began, time.monotonic() - began))
        self.told[became] += 1

    def wait_for(self, became, more=20, seconds=20):
        """Wait until so many more votes had this outcome, which they must have in time."""
        goal, ends = self.told[became] + more, time.monotonic() + seconds
        while self.told[became] < goal:
            assert time.monotonic() < ends, f"{dict(self.told)}, wanted {goal} {became}"
            time.sleep(0.05)

    @property
    def p95(self) -> float:
        return percentile([wait for _, wait in self.waits], 95)

    def check(self, connection, voter_key):
        """Hold what people were told against the ballots."""
        assert not self.told[BROKEN], dict(self.told)
        ballots = read_ballots(connection)
        for voter, poll in itertools.product(self.voters, self.choices):
            revision, choices = ballots.pop((poll, mark_of(voter, poll, voter_key)), (0, set()))
            surely, perhaps = voter.answers[poll, COUNTED], voter.answers[poll, UNKNOWN]
            # Each vote that was answered with success was written, once, and no other but those
            # that were not answered.
            assert surely <= revision <= surely + perhaps
            if revision:
                assert len(choices) == 1
                assert choices <= voter.last[poll]
        # And nobody else has voted.
        assert not ballots

    def __str__(self):
        told = ", ".join(f"{number} {became}" for became, number in sorted(self.told.items()))
        return f"votes: {told}"


def mark_of(voter, poll, voter_key) -> str:
    with override_settings(VOTER_KEY=voter_key):
        return voter_mark(poll, voter.number)


def read_ballots(connection) -> dict:
    ballots = {}
    for poll, mark, revision, choice in connection.execute(BALLOTS).fetchall():
        _, choices = ballots.setdefault((poll, mark), (revision, set()))
        choices.add(choice)
    return ballots
