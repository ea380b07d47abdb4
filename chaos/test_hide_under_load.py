"""A poll that is taken away while many read it: hidden, put into the trash, or open by link only.

Readers go on asking two web processes for each of its pages, on connections of their own, so that
both processes answer. Two seconds after the change no answer may show the poll any more.
"""

import threading
import time
from collections import Counter, defaultdict

import pytest
import requests

from .voters import TOKEN

QUESTION, POLL = "Which umbrella?", 1
# Seconds: how long a copy may still be served, and how long is looked afterwards.
ALLOWED, AFTERWARDS = 2, 4
READERS = 2  # for each page


def pages(slug, link=""):
    """Return the pages on which the poll is seen, and what shows it there."""
    of_poll = {f"/polls/{POLL}/{name}{link}": QUESTION for name in ["", "results/", "integrity/"]}
    return of_poll | {
        f"/polls/{POLL}/results.json{link}": QUESTION,
        f"/p/{slug}/": QUESTION,
        f"/p/{slug}/print/": QUESTION,
        f"/p/{slug}/qr.svg": "<svg",
        f"/p/{slug}/card.png": "PNG",
        "/polls/": QUESTION,
        "/polls/?show=open": QUESTION,
        "/sitemap.xml": slug,
        f"/sitemap.xml?x={time.monotonic()}": slug,
    }


class Readers:
    """Threads that ask for pages until told to stop, and note when each was asked for and shown."""

    def __init__(self, url, shown_by, cookies):
        self.url, self.cookies = url, cookies
        self.seen = defaultdict(list)
        self.over = threading.Event()
        self.threads = [
            threading.Thread(target=self.read, args=page)
            for page in shown_by.items()
            for _ in range(READERS)
        ]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *error):
        self.over.set()
        for thread in self.threads:
            thread.join(30)

    def read(self, path, sign):
        while not self.over.is_set():
            began = time.monotonic()
            # Without a kept connection, which would always lead to the same process.
            answer = requests.get(
                self.url + path, cookies=self.cookies, timeout=30, allow_redirects=False
            )
            shows = answer.status_code == 200 and sign in answer.content.decode("latin-1")
            self.seen[path].append((began, answer.status_code, shows))
            self.over.wait(0.05)


@pytest.fixture
def slug(site):
    with site.connect() as connection:
        connection.execute(
            "UPDATE polls_poll SET question = %s, results_for = 'everyone' WHERE id = %s",
            [QUESTION, POLL],
        )
        (slug,) = connection.execute("SELECT slug FROM polls_poll WHERE id = 1").fetchone()
    return slug


@pytest.fixture
def staff(site):
    """The sessions of an administrator, and of someone who only reads."""
    (session, _), (reader, _) = site.people[:2]
    with site.connect() as connection:
        connection.execute(
            "UPDATE auth_user SET is_staff = true, is_superuser = true WHERE username = 'voter0'"
        )
    return session, reader


def post(url, path, session, fields):
    answer = requests.post(
        url + path,
        fields | {"csrfmiddlewaretoken": TOKEN},
        cookies={"sessionid": session, "csrftoken": TOKEN},
        timeout=30,
        allow_redirects=False,
    )
    assert answer.status_code == 302, answer.text[:2000]


def hide(site, url, session):
    fields = {"action": "hide", "because": "It is spam.", "_selected_action": POLL}
    post(url, "/admin/polls/poll/", session, fields)


def trash(site, url, session):
    post(url, f"/polls/{POLL}/trash/", session, {})


def unlist(site, url, session):
    """Make it open by link only, as a tool does that sends no signal to any process."""
    with site.connect() as connection:
        connection.execute("UPDATE polls_poll SET is_listed = false WHERE id = %s", [POLL])


@pytest.mark.parametrize(
    ("take_away", "has_redis"), [(hide, False), (hide, True), (trash, False), (unlist, True)]
)
def test_a_poll_that_is_taken_away_is_gone_within_two_seconds(
    site, redis, staff, slug, tell, take_away, has_redis
):
    session, reader = staff
    changed = {"REDIS_URL": redis.url} if has_redis else {}
    shown_by = pages(slug)
    with (
        site.served(**changed) as (url, _),
        Readers(url, shown_by, {"sessionid": reader}) as signed_in,
        Readers(url, shown_by, {}) as strangers,
    ):
        time.sleep(3)
        take_away(site, url, session)
        changed_at = time.monotonic()
        time.sleep(ALLOWED + AFTERWARDS)
    told = Counter()
    for readers in [signed_in, strangers]:
        for path in shown_by:
            answers = readers.seen[path]
            assert not [status for _, status, _ in answers if status >= 500], path
            # Strangers are sent to sign in from the ballot.
            is_gated = readers is strangers and path == f"/polls/{POLL}/"
            assert is_gated or any(shows for began, _, shows in answers if began < changed_at), path
            late = [
                began - changed_at
                for began, _, shows in answers
                if shows and began > changed_at + ALLOWED
            ]
            # By link only, the pages under the link still open.
            if take_away is unlist and path.startswith("/p/"):
                assert late
            else:
                assert late == [], path
            told["shown before"] += sum(began < changed_at for began, _, _ in answers)
            told["asked after two seconds"] += sum(
                began > changed_at + ALLOWED for began, _, _ in answers
            )
    assert told["asked after two seconds"] > 50
    tell(take_away.__name__, dict(told))
