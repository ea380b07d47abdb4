"""The site in a process whose clock is off by as many seconds as the file named by CLOCK says."""

import os
from datetime import timedelta
from pathlib import Path
from threading import Lock

import time_machine

from pollstr.wsgi import application as site

moving = Lock()
clock = {"offset": 0, "travel": None}


def application(environ, start_response):
    set_clock(float(Path(os.environ["CLOCK"]).read_text()))
    return site(environ, start_response)


def set_clock(offset):
    """Jump, in the midst of what other threads do, as the clock of a machine would."""
    with moving:
        if offset == clock["offset"]:
            return
        if clock["travel"]:
            clock["travel"].stop()
        clock["offset"], clock["travel"] = offset, time_machine.travel(timedelta(seconds=offset))
        clock["travel"].start()
