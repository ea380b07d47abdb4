"""Pictures that were drawn, kept by each process, and a bound on drawing.

They are kept here and not in the shared cache, where many large ones would push out counts and
sessions, or grow a Redis without end.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from threading import BoundedSemaphore, Event, Lock

MAX_BYTES = 8_000_000
# One thread draws, those with other pictures wait for their turn: a few of a worker's eight.
MAX_DRAWING = 4
# Seconds that others wait for a picture which is being drawn already.
MAX_WAIT = 3
# Seconds of drawing: as many at once after a while without, then this share of one processor.
MAX_CREDIT, CREDIT_PER_SECOND = 5.0, 0.25


class Busy(Exception):
    """Too many pictures are being drawn to draw another now."""


class PictureCache:
    """The pictures used last, up to ``MAX_BYTES`` in all. Threads may share it."""

    def __init__(self):
        self.lock = Lock()
        self.clear()

    def clear(self):
        self.pictures: OrderedDict[str, bytes] = OrderedDict()
        self.bytes = 0

    def get(self, key: str) -> bytes | None:
        with self.lock:
            if key in self.pictures:
                self.pictures.move_to_end(key)
            return self.pictures.get(key)

    def add(self, key: str, picture: bytes):
        with self.lock:
            self.bytes += len(picture) - len(self.pictures.pop(key, b""))
            self.pictures[key] = picture
            while self.bytes > MAX_BYTES:
                _, oldest = self.pictures.popitem(last=False)
                self.bytes -= len(oldest)


class DrawingBudget:
    """How long may be drawn now, in seconds. Only who holds ``drawing`` may ask."""

    def __init__(self):
        self.clear()

    def clear(self):
        self.credit, self.counted_at = MAX_CREDIT, time.monotonic()

    def is_spent(self) -> bool:
        now = time.monotonic()
        earned = CREDIT_PER_SECOND * (now - self.counted_at)
        self.credit, self.counted_at = min(MAX_CREDIT, self.credit + earned), now
        return self.credit <= 0


pictures, budget = PictureCache(), DrawingBudget()
drawing, places = Lock(), BoundedSemaphore(MAX_DRAWING)
# What is being drawn, by key. An event is set when its picture is there or will not come.
begun: dict[str, Event] = {}


def clear():
    pictures.clear()
    budget.clear()


def picture(key: str, draw: Callable[[], bytes]) -> bytes:
    """Return the picture of that key, drawing it where it is not kept. Raises Busy."""
    found = pictures.get(key)
    if found is not None:
        return found
    own = Event()
    other = begun.setdefault(key, own)
    if other is not own:
        return picture_of_another(key, other)
    try:
        return draw_in_turn(key, draw)
    finally:
        del begun[key]
        own.set()


def picture_of_another(key: str, is_drawn: Event) -> bytes:
    """Wait for a picture that another thread draws: many ask for one poll's at the same moment."""
    is_drawn.wait(MAX_WAIT)
    found = pictures.get(key)
    if found is None:
        raise Busy
    return found


def draw_in_turn(key: str, draw: Callable[[], bytes]) -> bytes:
    if not places.acquire(blocking=False):
        raise Busy
    try:
        with drawing:
            return pictures.get(key) or draw_within_budget(key, draw)
    finally:
        places.release()


def draw_within_budget(key, draw) -> bytes:
    if budget.is_spent():
        raise Busy
    began = time.monotonic()
    drawn = draw()
    budget.credit -= time.monotonic() - began
    pictures.add(key, drawn)
    return drawn
