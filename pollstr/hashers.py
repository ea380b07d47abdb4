"""How passwords are kept, and how many are hashed at once."""

from contextlib import contextmanager
from threading import BoundedSemaphore

from django.contrib.auth.hashers import Argon2PasswordHasher
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from two_factor.passwords import normalized

# Hashing is the most expensive thing the site does. Of the eight threads of a process two may hash
# and four may wait for their turn, so that two are left for pages.
MAX_HASHES_AT_ONCE = 2
MAX_HASHES_WAITING = 4
HASHING_BUSY = "hashing_busy"

places = BoundedSemaphore(MAX_HASHES_AT_ONCE + MAX_HASHES_WAITING)
turns = BoundedSemaphore(MAX_HASHES_AT_ONCE)


class HashingBusy(ValidationError):
    """As many passwords as this process may hash are being hashed; this one was not.

    A form shows it as one of its own errors.
    """

    def __init__(self):
        super().__init__(
            _("Many people are signing in right now. Please try again in a few seconds."),
            code=HASHING_BUSY,
        )


@contextmanager
def hashing():
    """Wait for a turn to hash. Raises HashingBusy where too many wait already."""
    if not places.acquire(blocking=False):
        raise HashingBusy
    try:
        with turns:
            yield
    finally:
        places.release()


class Argon2id(Argon2PasswordHasher):
    """Hash with Argon2id and OWASP's parameters: 19 MiB, two passes, one lane.

    They cost an attacker as much as Django's default and the site a fraction of its time; with
    the default, hashing bounds how many voters can register a second.
    Source: OWASP Password Storage Cheat Sheet, "Argon2id".

    New hashes are of the normalized password, wherever it was set. What to try for a typed one
    says two_factor/passwords.py.
    """

    memory_cost = 19 * 1024  # KiB
    time_cost = 2
    parallelism = 1

    def encode(self, password, salt):
        with hashing():
            return super().encode(normalized(password), salt)

    def verify(self, password, encoded):
        with hashing():
            return super().verify(password, encoded)
