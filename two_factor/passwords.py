"""How a typed password is compared: the same characters count, however a keyboard encodes them."""

import unicodedata

# The longest new password, in characters. An older one may be longer.
MAX_PASSWORD_LENGTH = 1000
# Nothing longer than this is normalized or hashed.
MAX_TYPED_LENGTH = 20_000
# Passwords of one account that is signed in, right or wrong, that are looked at in so many seconds.
# Each costs a hash, which is the most expensive thing that a form can ask for.
MAX_CHECKS = 60
CHECKS_WINDOW_SECONDS = 10 * 60


def check_limit(user) -> tuple:
    """Return the limit of passwords that are looked at: name, value, most and seconds."""
    return "password checked", user.pk, MAX_CHECKS, CHECKS_WINDOW_SECONDS


def normalized(password: str) -> str:
    """Return the form of a password that is hashed: NFKC (NIST 800-63B-4 §3.1.1.2)."""
    return unicodedata.normalize("NFKC", password)


def spellings(typed: str) -> list[str]:
    """Return the forms of a typed password to try, in order; none where it is too long.

    The second is for passwords that were hashed as they were typed, before we normalized.
    """
    if len(typed) > MAX_TYPED_LENGTH:
        return []
    # A lone surrogate, which no form can send, has no bytes to hash.
    typed = typed.encode("utf-8", "replace").decode()
    return list(dict.fromkeys([normalized(typed), typed]))


def is_password_of(user, typed: str) -> bool:
    return any(user.check_password(spelling) for spelling in spellings(typed))
