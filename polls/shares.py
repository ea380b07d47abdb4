"""Shares of the voters: one rule of rounding for pages, exports and results.js.

Shares are rounded half up, from whole numbers, so that no float decides a tie. Rounding never
denies a vote: some votes are never 0 %, and less than all votes are never 100 %.
"""

from itertools import count

from django.utils.formats import get_format

# Of a share in JSON and CSV. It has more where these would say another percentage than the page.
MIN_PLACES = 4
ALL = 1000  # tenths of a percent


def half_up(numerator: int, denominator: int) -> int:
    """Return the fraction as a whole number, rounded half up; neither may be negative."""
    return (2 * numerator + denominator) // (2 * denominator)


def tenths(votes: int, voters: int) -> int:
    """Return the share in tenths of a percent; 0 without voters."""
    return half_up(ALL * votes, voters) if voters else 0


def is_denied(rounded: int, votes: int, voters: int, whole: int) -> bool:
    """Return whether a share, ``rounded`` of ``whole``, says none of some or all of not all."""
    return (rounded <= 0 < votes) or (rounded >= whole and votes < voters)


def share(votes: int, voters: int) -> float:
    """Return the share from 0 to 1, with as few decimal places as say the same as the page."""
    if not voters:
        return 0.0
    for places in count(MIN_PLACES):
        whole = 10**places
        rounded = half_up(whole * votes, voters)
        is_same = tenths(rounded, whole) == tenths(votes, voters)
        if is_same and not is_denied(rounded, votes, voters, whole):
            return rounded / whole


def percents(votes: list[int], voters: int) -> list[str]:
    """Return the percentages of one table as they are shown, all with the same decimals.

    They are in the format of the active language, without the percent sign: ``33.5``, ``< 0.1``.
    results.js has the same rule.
    """
    shares = [tenths(each, voters) for each in votes]
    denied = [is_denied(n, each, voters, ALL) for n, each in zip(shares, votes, strict=True)]
    separator = get_format("DECIMAL_SEPARATOR")
    if not any(denied) and all(n % 10 == 0 for n in shares):
        return [str(n // 10) for n in shares]
    texts = []
    for n, is_not_so in zip(shares, denied, strict=True):
        shown = f"{n // 10}{separator}{n % 10}"
        if is_not_so:
            shown = f"> 99{separator}9" if n else f"< 0{separator}1"
        texts.append(shown)
    return texts


def are_rounded(votes: list[int], voters: int) -> bool:
    """Return whether a percentage of the table is not exact."""
    return any(tenths(each, voters) * voters != ALL * each for each in votes)
