"""A disk that is full, below SQLite."""

import subprocess
from contextlib import contextmanager

import pytest

from .journey import PASSWORD, Browser
from .voters import CALM, COUNTED, NOT_WRITTEN, REFUSED

SIZE = "16m"


@pytest.fixture
def small_disk(empty_directory):
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", empty_directory]
    )
    assert mounted.returncode == 0, "A small disk can be mounted by root only."
    yield empty_directory
    subprocess.run(["umount", empty_directory], check=True)


@contextmanager
def filled(directory):
    """Leave no room in the directory while the block runs."""
    filler = directory / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in [2**16, 2**12, 1]:
            write_until_full(file, bytes(size))
    yield
    filler.unlink()


def write_until_full(file, block):
    try:
        while file.write(block) == len(block):
            pass
    except OSError:
        return


def test_a_vote_without_room_is_said_not_to_count_and_its_choice_is_kept(
    sqlite_site, small_disk, tell
):
    site = sqlite_site(small_disk)
    with site.served() as (url, _), site.crowd(url).voting() as crowd:
        crowd.wait_for(COUNTED)
        with filled(small_disk):
            crowd.wait_for(REFUSED, 50)
            assert_told(url, site)
        crowd.wait_for(COUNTED, 50)
    site.check(crowd)
    tell(crowd)


def test_where_nobody_else_is_about_the_polls_are_read_without_room_too(sqlite_site, small_disk):
    # The last connection to close takes SQLite's log along, and a new one would need room.
    site = sqlite_site(small_disk)
    with site.served() as (url, _):
        with Browser(url, session=site.people[0][0]) as browser:
            assert browser.post("/polls/1/vote/", choice=1).status_code == 302
        with filled(small_disk):
            assert_told(url, site)
        with Browser(url, session=site.people[0][0]) as browser:
            assert browser.post("/polls/1/vote/", choice=3).status_code == 302


def assert_told(url, site):
    with Browser(url, session=site.people[0][0]) as browser:
        refused = browser.post("/polls/1/vote/", choice=2)
        assert refused.status_code == 503
        assert NOT_WRITTEN in refused.text
        assert 'value="2" checked' in refused.text
        for page in ["/polls/", "/polls/1/", "/polls/1/results/"]:
            assert browser.get(page).status_code == 200
    with Browser(url) as browser:
        fields = {"password1": PASSWORD, "password2": PASSWORD}
        registered = browser.post("/register/", username="grace", **fields)
        assert registered.status_code == 503
        assert CALM in registered.text
