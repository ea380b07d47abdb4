"""Receipts: a code that shows later that a vote is still counted, and never what it said.

Nothing of it is stored. The code names a ballot, and holds check values of the ballot's mark and of
the nonce that each cast gives it. All of it is hidden and sealed with keys made from VOTER_KEY, so
nobody can make a receipt up. A restored backup can give the id of a lost ballot to another one, but
never the same nonce.
"""

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass

from django.conf import settings

from .models import Ballot, Poll
from .typed import MAX_TYPED_LENGTH, clean_code

# Of a receipt, in bytes: 30 are 48 letters and digits in base32.
ID_BYTES, POLL_BYTES, MARK_BYTES, REVISION_BYTES, CAST_BYTES, SEAL_BYTES = 5, 4, 1, 1, 3, 16
CONTENT_BYTES = ID_BYTES + POLL_BYTES + MARK_BYTES + REVISION_BYTES + CAST_BYTES
# Of a receipt for a ballot without a nonce, as earlier releases made them: 24 letters and digits.
OLD_REVISION_BYTES, OLD_SEAL_BYTES = 3, 7
OLD_CONTENT_BYTES = ID_BYTES + OLD_REVISION_BYTES
GROUP = 6  # letters and digits
LENGTHS = {24, 48}
SPELLING = re.compile(r"[a-z2-7]{6}(-[a-z2-7]{6}){3}((-[a-z2-7]{6}){4})?")
# What is mistaken for another letter when a receipt is typed; base32 has none of these.
MISREAD = str.maketrans("018", "olb")

# What a receipt says today.
COUNTED, REPLACED, LOST, ENDED, OUTDATED, UNKNOWN = (
    "counted",  # the vote is counted, unchanged
    "replaced",  # the same number voted again
    "lost",  # the vote is not there: poll deleted, voters forgotten, older backup restored
    "ended",  # the poll has forgotten who voted
    "outdated",  # an old receipt for a ballot that was cast again by a newer release
    "unknown",  # the code is not a receipt
)


@dataclass
class Receipt:
    state: str
    ballot: Ballot | None = None
    poll: Poll | None = None


def keyed(purpose: bytes, message: bytes) -> bytes:
    key = hmac.new(settings.VOTER_KEY.encode(), b"receipt " + purpose, hashlib.sha256).digest()
    return hmac.new(key, message, hashlib.sha256).digest()


def hide(content: bytes, seal: bytes, purpose: bytes) -> bytes:
    """Mask the content by its seal; applied twice it is the content again."""
    return bytes(a ^ b for a, b in zip(content, keyed(purpose, seal), strict=False))


def content_of(ballot: Ballot) -> bytes:
    cast = f"{ballot.mark} {ballot.revision} {ballot.nonce}".encode()
    return (
        ballot.pk.to_bytes(ID_BYTES)
        + ballot.poll_id.to_bytes(POLL_BYTES)
        + keyed(b"mark", ballot.mark.encode())[:MARK_BYTES]
        + (ballot.revision % 256).to_bytes(REVISION_BYTES)
        + keyed(b"cast", cast)[:CAST_BYTES]
    )


def receipt_for(ballot: Ballot) -> str:
    """Return the code for this cast of a ballot: 48 letters and digits in groups of six.

    It has 24 where the ballot was cast by a release that knew no nonce.
    """
    if ballot.nonce:
        content = content_of(ballot)
        seal = keyed(b"seal of 128 bits", content)[:SEAL_BYTES]
        return spelled(hide(content, seal, b"mask of 128 bits") + seal)
    content = ballot.pk.to_bytes(ID_BYTES) + ballot.revision.to_bytes(OLD_REVISION_BYTES)
    seal = keyed(b"seal", content)[:OLD_SEAL_BYTES]
    return spelled(hide(content, seal, b"mask") + seal)


def spelled(sealed: bytes) -> str:
    return grouped(base64.b32encode(sealed).decode().lower())


def grouped(code: str) -> str:
    return "-".join(code[i : i + GROUP] for i in range(0, len(code), GROUP))


def canonical(code: str) -> str:
    """Return the code as ``receipt_for`` spells it, where it is one that was typed differently."""
    letters = "".join(sign for sign in code if sign.isalnum())
    # Other dashes, or a full stop, get in between and behind; letters of no keyboard do not.
    if len(code) > MAX_TYPED_LENGTH or not (code.isprintable() and letters.isascii()):
        return code
    plain = clean_code(letters).translate(MISREAD)
    is_base32 = re.fullmatch(r"[a-z2-7]+", plain) is not None
    return grouped(plain) if is_base32 and len(plain) in LENGTHS else code


def read_receipt(code: str) -> Receipt:
    """Return what the receipt says now; its ``state`` is UNKNOWN for a code that is not one."""
    if not SPELLING.fullmatch(code):
        return Receipt(UNKNOWN)
    sealed = base64.b32decode(code.replace("-", "").upper())
    is_old = len(sealed) == OLD_CONTENT_BYTES + OLD_SEAL_BYTES
    return read_old(sealed) if is_old else read(sealed)


def read(sealed: bytes) -> Receipt:
    seal = sealed[CONTENT_BYTES:]
    content = hide(sealed[:CONTENT_BYTES], seal, b"mask of 128 bits")
    if not hmac.compare_digest(seal, keyed(b"seal of 128 bits", content)[:SEAL_BYTES]):
        return Receipt(UNKNOWN)
    poll_id = int.from_bytes(content[ID_BYTES : ID_BYTES + POLL_BYTES])
    ballots = Ballot.objects.select_related("poll").filter(poll=poll_id)
    ballot = ballots.filter(pk=int.from_bytes(content[:ID_BYTES])).first()
    if ballot is None:
        poll = Poll.objects.filter(pk=poll_id).first()
        has_forgotten = poll is not None and poll.voters_forgotten_at is not None
        return Receipt(ENDED if has_forgotten else LOST, poll=poll)
    return Receipt(state_of(ballot, content), ballot, ballot.poll)


def state_of(ballot: Ballot, content: bytes) -> str:
    """Tell what became of a vote from what its receipt holds and from the ballot of that id."""
    now, revision_at = content_of(ballot), ID_BYTES + POLL_BYTES + MARK_BYTES
    if now == content:
        return COUNTED
    if now[:revision_at] != content[:revision_at]:
        return LOST
    # A ballot that was cast fewer times than its receipt says is an older one, from a backup.
    is_older = (now[revision_at] - content[revision_at]) % 256 >= 128
    return LOST if is_older else REPLACED


def read_old(sealed: bytes) -> Receipt:
    """Read a receipt of an earlier release, which holds the ballot's id and revision alone.

    It tells nothing of a ballot with a nonce: that one was cast later, perhaps by someone else who
    got the same id after a backup had been restored.
    """
    seal = sealed[OLD_CONTENT_BYTES:]
    content = hide(sealed[:OLD_CONTENT_BYTES], seal, b"mask")
    if not hmac.compare_digest(seal, keyed(b"seal", content)[:OLD_SEAL_BYTES]):
        return Receipt(UNKNOWN)
    pk, revision = int.from_bytes(content[:ID_BYTES]), int.from_bytes(content[ID_BYTES:])
    ballot = Ballot.objects.select_related("poll").filter(pk=pk).first()
    if ballot is None:
        return Receipt(LOST)
    if ballot.nonce:
        return Receipt(OUTDATED)
    if ballot.revision == revision:
        return Receipt(COUNTED, ballot, ballot.poll)
    return Receipt(REPLACED if ballot.revision > revision else LOST, ballot, ballot.poll)
