"""A web process that is killed with -9 while people vote."""

import os
import signal
from pathlib import Path

from .voters import COUNTED, UNKNOWN


def workers(master: int) -> set[int]:
    return set(map(int, Path(f"/proc/{master}/task/{master}/children").read_text().split()))


def test_no_vote_is_lost_when_workers_are_killed(site, tell):
    with site.served() as (url, web), site.crowd(url).voting() as crowd:
        for _ in range(4):
            crowd.wait_for(COUNTED)
            # One of two: the other takes the votes until the master has made a new one.
            os.kill(min(workers(web.pid)), signal.SIGKILL)
        crowd.wait_for(COUNTED, 100)
        assert len(workers(web.pid)) == 2
    site.check(crowd)
    tell("4 workers killed", crowd)


def test_no_vote_is_lost_when_the_whole_web_process_is_killed_and_started(site, tell):
    with site.served(site.port) as (url, web), site.crowd(url).voting() as crowd:
        crowd.wait_for(COUNTED)
        # As a host does it that has run out of memory.
        for pid in [web.pid, *workers(web.pid)]:
            os.kill(pid, signal.SIGKILL)
        crowd.wait_for(UNKNOWN)
        with site.served(site.port):
            crowd.wait_for(COUNTED, 100)
    site.check(crowd)
    tell("killed once", crowd)
