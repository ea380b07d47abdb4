"""Codes that people type: the addresses of polls, and receipts."""

import unicodedata

MAX_TYPED_LENGTH = 100  # characters


def clean_code(typed: str) -> str:
    """Return the letters and digits of a code as it was printed: in lower case, without dashes.

    Forgives blanks, missing and extra dashes, capital letters, full-width letters, and punctuation
    that was copied with it. Empty where nothing of a code is left.
    """
    folded = unicodedata.normalize("NFKC", typed[:MAX_TYPED_LENGTH]).lower()
    return "".join(sign for sign in folded if sign.isascii() and sign.isalnum())
