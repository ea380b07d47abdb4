"""One copy for many readers: one of them rebuilds it, and the others get the old copy meanwhile.

Pages (kept.py), results (watching.py) and the sitemap are shared this way. Two
rules keep a copy from outliving what it shows: it is never served when it is older than its
maximum age, whatever the load, and a rebuild that fails drops it.
"""

import time
from threading import Lock

from django.db import connection, transaction


class SharedCopy:
    """The copy under one name, in a store with get, add, set and delete as Django's caches have.

    ``fresh`` and ``max_age`` are seconds since the rebuild of the copy began: nothing that happened
    after that moment is in it for sure.
    """

    def __init__(self, store, name, fresh, max_age):
        self.store, self.name, self.turn = store, name, f"{name}-turn"
        self.fresh, self.max_age = fresh, max_age

    def get(self, not_before=0):
        """Return the value, or None where the reader has to call ``rebuild``.

        ``not_before`` is a moment (seconds since 1970): a copy from before it is of no use here.
        """
        made_at, value = self.store.get(self.name) or (0, None)
        now = time.time()
        # A copy from the future was made by a clock that ran ahead.
        if value is None or not not_before <= made_at <= now < made_at + self.max_age:
            return None
        is_my_turn = self.store.add(self.turn, True, self.fresh)
        return None if is_my_turn else value

    def rebuild(self, make):
        """Return what ``make`` returns and share it; where it fails or returns None, share nothing.

        Whatever ``make`` raises is raised again.
        """
        began, value = time.time(), None
        try:
            value = make()
        finally:
            if value is None:
                self.store.delete(self.name)
            else:
                self.store.set(self.turn, True, self.fresh)
                self.store.set(self.name, (began, value), self.max_age)
        return value


class ProcessStore:
    """A store in the memory of this process, for values that are used by many readers a second.

    It hands out the objects themselves: Django's LocMemCache would pickle them for each reader.
    ``is_full`` gets the values and says whether there is room for more; if not, all go.
    """

    def __init__(self, is_full):
        self.is_full = is_full
        self.rows = {}
        self.adding = Lock()

    def get(self, name):
        value, ends_at = self.rows.get(name, (None, 0))
        return value if time.time() < ends_at else None

    def set(self, name, value, seconds):
        if name not in self.rows and self.is_full(self.values()):
            self.clear()
        self.rows[name] = value, time.time() + seconds

    def add(self, name, value, seconds) -> bool:
        """Set the value where there is none; of several threads one is told that it did."""
        with self.adding:
            if self.get(name) is not None:
                return False
            self.set(name, value, seconds)
            return True

    def delete(self, name):
        self.rows.pop(name, None)

    def clear(self):
        self.rows.clear()

    def values(self) -> list:
        # Copied first: other threads change the rows meanwhile.
        return [value for value, _ in list(self.rows.values())]


def forget_now_and_on_commit(forget):
    """Call ``forget``, and again when the transaction is committed.

    Until then other readers see the old rows, and may have shared a copy of them again.
    """
    forget()
    if connection.in_atomic_block:
        transaction.on_commit(forget)
