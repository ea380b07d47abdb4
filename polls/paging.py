"""Pages of a list that lose no row when other rows leave the list between two pages.

The links to the next and the previous page name the row beside which they begin (``before`` and
``after``, a keyset); ``page`` is then only the number that is shown. ``page`` alone counts rows, as
in addresses that people typed or kept.
"""

import re
from datetime import UTC, datetime, timedelta

from django.db.models import Q
from django.http import Http404

# More digits than a page number needs.
MAX_NUMBER_LENGTH = 5
START = datetime.min.replace(tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
MAX_ID = 2**63 - 1


class Place:
    """A place in a list that is ordered by ``fields``, descending: moments, and the id at last.

    In an address it is written as numbers with dashes: microseconds since the year 1, and the id.
    """

    def __init__(self, fields, values):
        self.fields, self.values = fields, values

    @classmethod
    def of(cls, row, fields):
        return cls(fields, [getattr(row, field) for field in fields])

    @classmethod
    def read(cls, text: str, fields):
        """Read a place from an address; anything else raises Http404."""
        numbers = text.split("-")
        if len(numbers) != len(fields) or not all(re.fullmatch("[0-9]{1,19}", n) for n in numbers):
            raise Http404
        *moments, pk = map(int, numbers)
        if pk > MAX_ID:
            raise Http404
        try:
            return cls(fields, [*(START + number * MICROSECOND for number in moments), pk])
        except OverflowError as error:
            raise Http404 from error

    def __str__(self):
        *moments, pk = self.values
        return "-".join(map(str, [*((at - START) // MICROSECOND for at in moments), pk]))

    def beyond(self, is_backward: bool) -> Q:
        """What comes after this place; before it where the list is read backward."""
        strictly = "gt" if is_backward else "lt"
        *firsts, last = zip(self.fields, self.values, strict=True)
        condition = Q(**{f"{last[0]}__{strictly}": last[1]})
        for field, value in reversed(firsts):
            is_beyond = Q(**{f"{field}__{strictly}": value})
            # The first condition follows from the second. It lets the database use its index.
            condition = Q(**{f"{field}__{strictly}e": value}) & (is_beyond | condition)
        return condition


class Paging:
    """Which page of a list is asked for, read from the query of an address.

    ``begin`` and ``end`` cut it out of the rows of ``narrow``, with one row of the page beyond.
    """

    def __init__(self, query, fields, per_page: int):
        self.fields, self.per_page = fields, per_page
        self.is_backward = "after" in query
        place = query.get("after" if self.is_backward else "before")
        self.place = Place.read(place, fields) if place is not None else None
        self.number = read_number(query.get("page") or ("1" if place is None else "2"))
        self.begin = (self.number - 1) * per_page if self.place is None else 0
        self.end = self.begin + per_page + 1

    def narrow(self, rows):
        """Return the rows, a query set in any order, in that of the list from its place on."""
        sign = "" if self.is_backward else "-"
        rows = rows.order_by(*(f"{sign}{field}" for field in self.fields))
        return rows.filter(self.place.beyond(self.is_backward)) if self.place else rows

    def is_at_start(self, rows) -> bool:
        """Whether, read backward, the list ends: its first page is to be shown, and full."""
        return self.is_backward and len(rows) <= self.per_page

    def page(self, rows: list) -> dict:
        """Return ``rows``, ``number``, and the queries of the links, ``newer`` and ``older``."""
        has_more, rows = len(rows) > self.per_page, rows[: self.per_page]
        if self.is_backward:
            rows.reverse()
        is_first = self.number == 1 and self.place is None
        has_older = has_more or self.is_backward
        return {
            "rows": rows,
            "number": self.number,
            # A link of ours led here. That nothing is left is nobody's fault.
            "is_past_end": self.place is not None and not rows,
            "newer": self.link(-1, "after", rows[0]) if rows and not is_first else None,
            "older": self.link(1, "before", rows[-1]) if rows and has_older else None,
        }

    def link(self, step: int, name: str, row) -> dict:
        number = max(1, self.number + step)
        return {"page": number, name: str(Place.of(row, self.fields))}


def page_of(query, fields, per_page: int, fetch) -> dict:
    """Return ``Paging.page`` of the rows that ``fetch`` returns for a Paging.

    Raises Http404 for a page that is not there.
    """
    paging = Paging(query, fields, per_page)
    rows = fetch(paging)
    if paging.is_at_start(rows):
        return page_of({}, fields, per_page, fetch)
    if not rows and paging.number > 1 and paging.place is None:
        raise Http404
    return paging.page(rows)


def read_number(text: str) -> int:
    is_number = text.isascii() and text.isdecimal() and len(text) <= MAX_NUMBER_LENGTH
    if not is_number or int(text) < 1:
        raise Http404
    return int(text)
