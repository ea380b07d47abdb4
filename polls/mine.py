"""The polls that somebody made, with what happened on the way to their votes."""

import csv

from django.http import StreamingHttpResponse
from django.views.generic import TemplateView, View

from two_factor.mixins import TwoFactorMixin

from .models import Poll
from .paging import page_of
from .results import Line, as_text

PER_PAGE = 20
# By which moment each kind is ordered; the others by their opening.
ORDERS = {Poll.Kind.DRAFTS: "created_at", Poll.Kind.TRASH: "trashed_at"}
CSV_COUNTS = {
    "sent": "codes_sent",
    "proven": "phones_proven",
    "failed": "wrong_codes",
    "repeated": "repeats_refused",
    "late": "late_refused",
    "conversion": "conversion",
}
CSV_HEADER = ["id", "question", "kind", "opens_at", "closes_at", "votes", *CSV_COUNTS.values()]


class MineView(TwoFactorMixin, TemplateView):
    """The visitor's own polls of one kind, with what happened on the way to their votes."""

    template_name = "polls/mine.html"

    @property
    def kind(self):
        asked = self.request.GET.get("show")
        return asked if asked in Poll.Kind else Poll.Kind.OPEN

    def get_queryset(self):
        own = Poll.objects.filter(author=self.request.user)
        return own.of_kind(self.kind).with_figures()

    def rows_for(self, paging):
        return list(paging.narrow(self.get_queryset())[paging.begin : paging.end])

    def get_context_data(self, **kwargs):
        fields = (ORDERS.get(self.kind, "opens_at"), "pk")
        page = page_of(self.request.GET, fields, PER_PAGE, self.rows_for)
        polls = page.pop("rows")
        return super().get_context_data(
            polls=polls, kind=self.kind, kinds=Poll.Kind.choices, **page, **kwargs
        )


class MineCsvView(TwoFactorMixin, View):
    """The visitor's polls with their figures, a line each, however many there are."""

    def get(self, request, *args, **kwargs):
        polls = Poll.objects.filter(author=request.user).with_figures().order_by("pk")
        writer = csv.writer(Line())
        headers = {"Content-Disposition": 'attachment; filename="polls.csv"'}
        return StreamingHttpResponse(
            (writer.writerow(row) for row in csv_rows(polls)),
            content_type="text/csv; charset=utf-8",
            headers=headers,
        )


def csv_rows(polls):
    yield CSV_HEADER
    for poll in polls.iterator(chunk_size=500):
        numbers = poll.numbers
        times = [at and at.isoformat() for at in (poll.opens_at, poll.closes_at)]
        counts = [numbers[kind] for kind in CSV_COUNTS]
        yield [poll.pk, as_text(poll.question), poll.kind, *times, poll.voters, *counts]
