"""Backups, made while people vote, and restored into an empty database."""

import contextlib
import hashlib
import re
import sqlite3
import subprocess

from .conftest import Site
from .journey import Browser
from .servers import postgres_program
from .test_machines import close_poll
from .voters import COUNTED

ALL = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1"
ROWS = "SELECT md5(coalesce(string_agg(t::text, chr(10) ORDER BY t::text), '')) FROM \"{}\" t"


def dump(url, path):
    command = [postgres_program("pg_dump"), "--format=custom", f"--file={path}", url]
    subprocess.run(command, check=True, timeout=60)


def restore(path, url):
    command = [postgres_program("pg_restore"), "--no-owner", f"--dbname={url}", path]
    subprocess.run(command, check=True, timeout=60)


def contents(site) -> dict[str, str]:
    with site.connect() as connection:
        tables = [name for (name,) in connection.execute(ALL)]
        return {name: connection.execute(ROWS.format(name)).fetchone()[0] for name in tables}


def told_of(url, session, poll) -> tuple:
    """Return what the site tells of a poll: its count, and the frozen one where it is closed."""
    with Browser(url, session=session) as browser:
        results = browser.get(f"/polls/{poll}/results.json").json()
        if results["question"]["open"]:
            return results["voters"], results["choices"], None
        frozen = browser.get(f"/polls/{poll}/snapshot.json").content
        integrity = browser.get(f"/polls/{poll}/integrity/").text
    assert hashlib.sha256(frozen).hexdigest() in integrity
    return results["voters"], results["choices"], frozen


def vote_again(url, crowd):
    """Vote as somebody who has voted, and as one who has not."""
    voted, new = crowd.voters[0], crowd.voters[-1]
    for voter in [voted, new]:
        voter.connections.clear()
        assert voter.vote(url, 1, 2) == COUNTED
        voter.connections[url].close()


def cast_everywhere(site, url):
    crowd = site.crowd(url)
    for voter in crowd.voters[:-1]:
        for poll in crowd.choices:
            crowd.vote_once(voter, poll)
    with Browser(url, session=site.people[0][0]) as browser:
        assert browser.post("/polls/2/report/", reason="spam").status_code == 302
    for voter in crowd.voters:
        for connection in voter.connections.values():
            connection.close()
    return crowd


def test_a_dump_restored_into_an_empty_database_tells_the_same(
    site, postgres, empty_directory, tell
):
    session = site.people[0][0]
    with site.served() as (url, _):
        crowd = cast_everywhere(site, url)
        close_poll(site, 3)
        site.check(crowd)
        told = [told_of(url, session, poll) for poll in crowd.choices]
    dump(site.env["DATABASE_URL"], empty_directory / "polls.dump")
    empty = {"DATABASE_URL": postgres.create(f"{empty_directory.name}restored")}
    restored = Site(site.env | empty, site.cwd, site.people, site.sessions_with_code)
    restore(empty_directory / "polls.dump", empty["DATABASE_URL"])
    assert contents(restored) == contents(site)
    with restored.served() as (url, _):
        assert [told_of(url, session, poll) for poll in crowd.choices] == told
        vote_again(url, crowd)
    restored.check(crowd)
    tell(f"{len(contents(site))} tables the same, row by row", crowd)


def test_a_dump_made_under_load_is_of_one_moment(site, postgres, empty_directory, tell):
    with site.served() as (url, _), site.crowd(url).voting() as crowd:
        crowd.wait_for(COUNTED)
        dump(site.env["DATABASE_URL"], empty_directory / "polls.dump")
        crowd.wait_for(COUNTED)
    empty = {"DATABASE_URL": postgres.create(f"{empty_directory.name}restored")}
    restore(empty_directory / "polls.dump", empty["DATABASE_URL"])
    restored = Site(site.env | empty, site.cwd, site.people, site.sessions_with_code)
    # No ballot without its vote, and the other way round.
    assert restored.manage("recount") == "Every count is what the ballots say."
    site.check(crowd)
    tell(crowd)


def test_a_copy_of_sqlite_made_under_load_can_take_its_place(sqlite_site, empty_directory, tell):
    site = sqlite_site(empty_directory)
    with site.served() as (url, _), site.crowd(url).voting() as crowd:
        crowd.wait_for(COUNTED)
        backup(site, empty_directory / "under_load.sqlite3")
        crowd.wait_for(COUNTED)
    site.check(crowd)
    under_load = at(site, empty_directory / "under_load.sqlite3")
    assert under_load.manage("recount") == "Every count is what the ballots say."
    backup(site, empty_directory / "at_rest.sqlite3")
    restored = at(site, empty_directory / "at_rest.sqlite3")
    restored.check(crowd)
    with restored.served() as (url, _):
        vote_again(url, crowd)
    restored.check(crowd)
    tell(crowd)


RECEIPT = re.compile("/r/[a-z2-7-]+/")
HEADING = re.compile("<h1>(.*?)</h1>")


def vote_for_receipt(url, session, choice) -> str:
    """Vote in the first poll; return the address of the receipt."""
    with Browser(url, session=session) as browser:
        assert browser.post("/polls/1/vote/", choice=choice).status_code == 302
        (receipt,) = RECEIPT.findall(browser.get("/polls/1/results/").text)
        return receipt


def says(url, receipt) -> str:
    with Browser(url) as browser:
        return HEADING.search(browser.get(receipt).text)[1]


def test_a_receipt_of_a_vote_that_a_restore_lost_proves_nothing(
    site, postgres, empty_directory, tell
):
    ada, bob, eve = (session for session, *_ in site.people[:3])
    with site.served() as (url, _):
        kept = vote_for_receipt(url, ada, 1)
        dump(site.env["DATABASE_URL"], empty_directory / "polls.dump")
        lost, changed = vote_for_receipt(url, bob, 2), vote_for_receipt(url, ada, 3)
        before = [says(url, receipt) for receipt in (kept, lost, changed)]
        assert before == ["Replaced", "Counted, unchanged", "Counted, unchanged"]
    empty = {"DATABASE_URL": postgres.create(f"{empty_directory.name}restored")}
    restore(empty_directory / "polls.dump", empty["DATABASE_URL"])
    restored = Site(site.env | empty, site.cwd, site.people, site.sessions_with_code)
    with restored.served() as (url, _):
        after = [says(url, receipt) for receipt in (kept, lost, changed)]
        assert after == ["Counted, unchanged", "Not counted", "Not counted"]
        # This ballot gets the id of the lost one.
        other = vote_for_receipt(url, eve, 4)
        assert says(url, other) == "Counted, unchanged"
        assert says(url, lost) != "Counted, unchanged"
        again = vote_for_receipt(url, ada, 3)
        assert says(url, again) == "Counted, unchanged"
        assert says(url, changed) == "Replaced"
    with contextlib.closing(restored.connect()) as connection:
        assert connection.execute("SELECT count(*) FROM polls_ballot").fetchone() == (2,)
    tell("receipts of lost votes are not counted")


def at(site, path) -> Site:
    env = site.env | {"DATABASE_URL": f"sqlite:///{path}"}
    return Site(env, site.cwd, site.people, site.sessions_with_code)


def backup(site, path):
    with (
        contextlib.closing(site.connect()) as source,
        contextlib.closing(sqlite3.connect(path)) as copy,
    ):
        source.backup(copy)
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
