"""How passwords are kept."""

from django.contrib.auth.hashers import Argon2PasswordHasher


class Argon2id(Argon2PasswordHasher):
    """Hash with Argon2id and OWASP's parameters: 19 MiB, two passes, one lane.

    They cost an attacker as much as Django's default and the site a fraction of its time; with
    the default, hashing bounds how many voters can register a second.
    Source: OWASP Password Storage Cheat Sheet, "Argon2id".
    """

    memory_cost = 19 * 1024  # KiB
    time_cost = 2
    parallelism = 1
