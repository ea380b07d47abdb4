"""Receipts: a code that shows later that a vote is still counted, and never what it said.

Nothing is stored. The code holds the ballot's id and revision, hidden and sealed with a key
derived from VOTER_KEY: whoever has it can ask about this ballot, and nobody can make one up.
"""

import base64
import hashlib
import hmac
import re

from django.conf import settings

from .models import Ballot

ID_BYTES, REVISION_BYTES, SEAL_BYTES = 5, 3, 7
CONTENT_BYTES = ID_BYTES + REVISION_BYTES
GROUP = 6
SPELLING = re.compile(r"[a-z2-7]{6}(-[a-z2-7]{6}){3}")


def keyed(purpose: bytes, message: bytes) -> bytes:
    key = hmac.new(settings.VOTER_KEY.encode(), b"receipt " + purpose, hashlib.sha256).digest()
    return hmac.new(key, message, hashlib.sha256).digest()


def hide(content: bytes, seal: bytes) -> bytes:
    """Mask the content by its seal; applied twice it is the content again."""
    return bytes(a ^ b for a, b in zip(content, keyed(b"mask", seal), strict=False))


def receipt_for(ballot: Ballot) -> str:
    """Return the code for this revision of a ballot: 24 letters and digits in groups."""
    content = ballot.pk.to_bytes(ID_BYTES) + ballot.revision.to_bytes(REVISION_BYTES)
    seal = keyed(b"seal", content)[:SEAL_BYTES]
    code = base64.b32encode(hide(content, seal) + seal).decode().lower()
    return "-".join(code[i : i + GROUP] for i in range(0, len(code), GROUP))


def read_receipt(code: str) -> tuple[Ballot, bool] | None:
    """Return the ballot of a receipt, and whether it is unchanged since; None for other codes."""
    if not SPELLING.fullmatch(code):
        return None
    sealed = base64.b32decode(code.replace("-", "").upper())
    content, seal = hide(sealed[:CONTENT_BYTES], sealed[CONTENT_BYTES:]), sealed[CONTENT_BYTES:]
    if not hmac.compare_digest(seal, keyed(b"seal", content)[:SEAL_BYTES]):
        return None
    pk, revision = content[:ID_BYTES], int.from_bytes(content[ID_BYTES:])
    ballot = Ballot.objects.select_related("poll").filter(pk=int.from_bytes(pk)).first()
    return (ballot, ballot.revision == revision) if ballot else None
