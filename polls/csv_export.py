"""CSV files that spreadsheets open without harm: in UTF-8 with a mark, quoted, formulas guarded."""

import csv
import re
from itertools import batched, chain

from django.http import StreamingHttpResponse
from django.utils import timezone
from django.utils.http import content_disposition_header
from django.utils.text import slugify

# Lines sent at once.
BATCH = 1000
# Excel takes a file without it for one in the code page of its country.
BYTE_ORDER_MARK = "\ufeff"
MAX_NAME = 60  # characters of a question in the name of its file

# What spreadsheets take for the beginning of a formula (OWASP, CSV injection), and full-width and
# small forms of it, which some of them read alike.
SIGNS = "=+@＝＋＠﹦﹢﹫\\-－﹣"
LINE_ENDS = "\n\r\v\f\x1c-\x1e\x85\u2028\u2029"
# Where a cell begins: also inside a text, for a spreadsheet that parts cells by other signs.
CELL = f"(?:^|(?<=[;,\\t{LINE_ENDS}]))"
FORMULA = re.compile(f'{CELL}(?=[\\s"]*[{SIGNS}])|^(?=[\\t{LINE_ENDS}])')
# Nothing but a number is no formula.
NUMBER = re.compile("[+-][0-9]+([.,][0-9]+)? ?%?")


def as_text(value: str) -> str:
    """Put an apostrophe before what a spreadsheet would take for a formula."""
    return value if NUMBER.fullmatch(value) else FORMULA.sub("'", value)


def csv_of(rows, filename: str, header: list[str] | None = None, delimiter: str = ","):
    """Answer with the rows as a file, sent while they are made.

    Each cell is quoted, but not those of ``header``, which are names of our own.
    """
    quoted = csv.writer(Line(), delimiter=delimiter, quoting=csv.QUOTE_ALL)
    plain = csv.writer(Line(), delimiter=delimiter)
    first = [plain.writerow(header)] if header else []
    lines = chain([BYTE_ORDER_MARK], first, (quoted.writerow(row) for row in rows))
    return streamed(lines, "text/csv; charset=utf-8", filename)


def streamed(pieces, content_type, filename):
    # Not piece by piece, of which each would go over the wire alone.
    batches = ("".join(batch) for batch in batched(pieces, BATCH, strict=False))
    headers = {"Content-Disposition": content_disposition_header(True, filename)}
    return StreamingHttpResponse(batches, content_type=content_type, headers=headers)


class Line:
    """Where csv writes: it hands each line on instead of collecting them."""

    def write(self, line):
        return line


def file_name(poll, ending: str) -> str:
    """Return a name that says which poll it is, and the date on the poll's clocks."""
    words = slugify(poll.question, allow_unicode=True)[:MAX_NAME].strip("-_")
    return dated_name(words or f"poll-{poll.pk}", ending, poll.zone)


def dated_name(words: str, ending: str, zone=None) -> str:
    return f"{words}-{timezone.localdate(timezone=zone)}.{ending}"
