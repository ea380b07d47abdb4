"""The polls that somebody made, with what happened on the way to their votes."""

from django.views.generic import TemplateView, View

from two_factor.mixins import TwoFactorMixin

from .authoring import can_make_polls, new_nonce
from .csv_export import as_text, csv_of, dated_name
from .models import Poll
from .paging import page_of

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
            polls=polls,
            kind=self.kind,
            kinds=Poll.Kind.choices,
            can_make_polls=can_make_polls(self.request.user),
            nonce=new_nonce(),
            **page,
            **kwargs,
        )


class MineCsvView(TwoFactorMixin, View):
    """The visitor's polls with their figures, a line each, however many there are."""

    def get(self, request, *args, **kwargs):
        polls = Poll.objects.filter(author=request.user).with_figures().order_by("pk")
        return csv_of(csv_rows(polls), dated_name("polls", "csv"), header=CSV_HEADER)


def csv_rows(polls):
    for poll in polls.iterator(chunk_size=500):
        numbers = poll.numbers
        times = [at and at.isoformat(timespec="seconds") for at in (poll.opens_at, poll.closes_at)]
        counts = [numbers[kind] for kind in CSV_COUNTS]
        yield [poll.pk, as_text(poll.question), poll.kind, *times, poll.voters, *counts]
