"""The results of a poll, as a page, for machines, and what anybody may check of them."""

import csv

from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse, JsonResponse, StreamingHttpResponse
from django.views.generic import DetailView, View

from two_factor.mixins import is_verified

from .tally import snapshot, tally, votes_by_hour
from .views import PollMixin

CSV_HEADER = ["choice_id", "choice", "votes", "share"]


class ResultsMixin(PollMixin):
    """Results, for those whom the poll shows them; some polls show them to everybody."""

    # The count brings the choices.
    prefetched = []

    def get_object(self, queryset=None):
        # The gate has asked for it already.
        return getattr(self, "object", None) or super().get_object(queryset)

    def refuse(self):
        self.object = self.get_object()
        if self.object.shows_results_to(AnonymousUser(), is_verified=False, has_voted=False):
            return None
        return super().refuse()

    def may_see(self) -> bool:
        user = self.request.user
        has_voted = self.own_ballot is not None
        return self.object.shows_results_to(user, is_verified(self.request), has_voted)


class ResultsView(ResultsMixin, DetailView):
    template_name = "polls/results.html"

    def get_context_data(self, **kwargs):
        counted = tally(self.object) if self.may_see() else {"choices": None}
        own_choices = self.own_choices()
        return super().get_context_data(own_choices=own_choices, **counted, **kwargs)


class ExportView(ResultsMixin, View):
    """The results for machines; whoever may not see the page may not see these."""

    def get(self, request, *args, **kwargs):
        if not self.may_see():
            raise PermissionDenied("The results of this poll are not shown to you now.")
        return self.export(self.object, tally(self.object))


class ResultsJsonView(ExportView):
    def export(self, poll, counted):
        fields = ("id", "text", "votes", "share")
        question = {
            "id": poll.pk,
            "text": poll.question,
            "open": poll.is_open,
            "opens_at": poll.opens_at,
            "closes_at": poll.closes_at,
        }
        choices = [{field: choice[field] for field in fields} for choice in counted["choices"]]
        answer = {"question": question, "voters": counted["voters"], "choices": choices}
        return JsonResponse(answer | {"counted_at": counted["counted_at"]})


class ResultsCsvView(ExportView):
    def export(self, poll, counted):
        rows = [
            [choice["id"], as_text(choice["text"]), choice["votes"], choice["share"]]
            for choice in counted["choices"]
        ]
        writer = csv.writer(Line())
        lines = (writer.writerow(row) for row in [CSV_HEADER, *rows])
        headers = {"Content-Disposition": f'attachment; filename="poll-{poll.pk}.csv"'}
        return StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8", headers=headers)


class Line:
    """Where csv writes: it hands each line on instead of collecting them."""

    def write(self, line):
        return line


def as_text(value: str) -> str:
    """Keep a spreadsheet from taking a text for a formula (OWASP, CSV injection)."""
    return f"'{value}" if value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


class SnapshotView(ExportView):
    """The frozen count, byte for byte as it was hashed."""

    def export(self, poll, counted):
        frozen = snapshot(poll) if poll.is_closed else None
        if frozen is None:
            raise Http404
        return HttpResponse(frozen.body, content_type="application/json; charset=utf-8")


class IntegrityView(ResultsMixin, DetailView):
    """What anybody may check of a poll; the votes of each choice only where results are shown."""

    template_name = "polls/integrity.html"

    def refuse(self):
        self.object = self.get_object()
        return None

    def get_context_data(self, **kwargs):
        poll = self.object
        counted = tally(poll)
        return super().get_context_data(
            voters=counted["voters"],
            votes=sum(choice["votes"] for choice in counted["choices"]),
            figures={figure.kind: figure.count for figure in poll.figures.all()},
            hours=votes_by_hour(poll),
            changes=poll.changes.all(),
            snapshot=snapshot(poll) if poll.is_closed else None,
            may_see=self.may_see(),
            **kwargs,
        )
