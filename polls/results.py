"""The results of a poll, as a page, for machines, and what anybody may check of them."""

import json
from datetime import timedelta
from itertools import chain, groupby
from operator import itemgetter

from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse, JsonResponse
from django.utils import translation
from django.utils.cache import add_never_cache_headers, get_conditional_response
from django.utils.crypto import salted_hmac
from django.utils.formats import get_format
from django.utils.translation import gettext, ngettext, pgettext
from django.views.generic import DetailView, View

from . import watching
from .ballots import mark_for
from .csv_export import as_text, csv_of, file_name, streamed
from .kept import KeptMixin
from .languages import asked_language, in_language
from .models import Ballot
from .tally import snapshot, tally
from .views import FAILED_LOOKUPS, PollMixin, too_many_lookups

CSV_HEADER = ["choice_id", "choice", "votes", "share"]
# Seconds: how often a page asks for newer results, and how seldom it reads a change out.
ASK_EVERY, TELL_EVERY = 5, 15
# Ballots fetched at once.
BATCH = 1000
HOUR = timedelta(hours=1)
# The hours of a table and a picture: the latest, and how many a picture spans at least.
MAX_HOURS, MIN_SPAN_HOURS = 48, 5
CHANGES_PER_PAGE = 50
# Among these is every plural form of the site's languages: Arabic has six, French one for millions.
SAMPLES = [0, 1, 2, 3, 11, 100, 1_000_000]


class ResultsMixin(PollMixin):
    """Results, for those whom the poll shows them; some polls show them to everybody."""

    # The count brings the choices.
    prefetched = []

    def get_queryset(self):
        polls = super().get_queryset()
        if not self.is_verified:
            return polls
        number = str(self.request.user.two_factor.number)
        return polls.with_ballot(mark_for(self.kwargs["pk"], number))

    def own_choices(self):
        picked = getattr(self.object, "picked", None)
        return [int(pk) for pk in picked.split(",")] if picked else []

    @property
    def has_voted(self) -> bool:
        return bool(self.own_choices())

    def get_object(self, queryset=None):
        # The gate has asked for it already.
        return getattr(self, "object", None) or super().get_object(queryset)

    def refuse(self):
        if self.is_verified:
            return None
        self.object = self.get_object()
        return None if watching.is_public(self.object) else super().refuse()

    def may_see(self) -> bool:
        user = self.request.user
        return self.object.shows_results_to(user, self.is_verified, self.has_voted)


class ResultsView(KeptMixin, ResultsMixin, DetailView):
    template_name = "polls/results.html"
    kept_queries = {"link"}

    def audience(self):
        if not self.is_verified:
            return "unverified"
        _, picked = self.glance
        return tuple(picked)

    def not_before(self):
        """Whoever has voted sees a count with that vote in it."""
        return self.glance[0] if self.is_verified else 0

    def get_context_data(self, **kwargs):
        may_see, counted = self.may_see(), tally(self.object)
        hours = counted["hours"]
        shown = counted if may_see else {"choices": []}
        return super().get_context_data(
            own_choices=self.own_choices(),
            watch=self.watch() if may_see else None,
            turnout=turnout(hours),
            most=max((choice["votes"] for choice in shown["choices"]), default=0),
            may_see=may_see,
            excel_url=excel_url(self.object),
            **(shown | shown_hours(hours)),
            **kwargs,
        )

    def watch(self):
        """Return what the page needs to follow the results; None where they do not move."""
        if self.object.is_closed or not self.object.is_published:
            return None
        key = watching.key_for(self.object)
        return {
            "url": in_language(self.object.url("results_json")),
            "key": key,
            "ask_every": ASK_EVERY,
            "tell_every": TELL_EVERY,
            "texts": json.dumps(texts()),
        }


def by_number(sentence) -> list[str]:
    """Return a sentence for each of ``SAMPLES``; the script takes that of a number like its own."""
    return [sentence(number) for number in SAMPLES]


def texts() -> dict:
    """Return what results.js says and how it writes numbers, as the page does."""
    grouping = get_format("NUMBER_GROUPING")
    return {
        "samples": SAMPLES,
        "group": get_format("THOUSAND_SEPARATOR") if grouping else "",
        "decimal": get_format("DECIMAL_SEPARATOR"),
        "percent": gettext("%(percent)s %%"),
        "bar": by_number(
            lambda n: ngettext(
                "%(votes)s vote · %(percent)s %%", "%(votes)s votes · %(percent)s %%", n
            )
        ),
        "voters": by_number(
            lambda n: ngettext(
                "%(number)s voter, one verified phone number each.",
                "%(number)s voters, one verified phone number each.",
                n,
            )
        ),
        "none": gettext("0 voters."),
        # Translators: read out to whoever does not see the results, before who is ahead
        "news": by_number(lambda n: ngettext("%(number)s voter.", "%(number)s voters.", n)),
        "live": pgettext("results", "Live"),
        "changed": gettext("The answers of this poll have changed."),
        "stopped": gettext("These results are not kept up to date here any more."),
        "closed": gettext("Voting has closed. These are the final numbers."),
        "silent": gettext("The site does not answer. Trying again."),
    }


def shown_hours(hours: list[dict]) -> dict:
    """Return what the table of hours shows: the latest ones, and whether they are not all."""
    return {"hours": hours[:MAX_HOURS], "has_more_hours": len(hours) > MAX_HOURS}


def turnout(hours: list[dict]) -> dict | None:
    """Lay the latest hours with votes out on a picture as many hours wide as they span.

    ``busiest`` is the hour with the most votes of all, also where the picture does not reach it.
    """
    if not hours:
        return None
    busiest = max(hours, key=itemgetter("voters"))
    hours = hours[:MAX_HOURS]
    last = hours[0]["hour"]
    span = max(MIN_SPAN_HOURS, (last - hours[-1]["hour"]) // HOUR)
    first = last - span * HOUR
    height = max(row["voters"] for row in hours)
    bars = [
        {
            "x": (row["hour"] - first) // HOUR,
            "y": height - row["voters"],
            "height": row["voters"],
        }
        for row in hours
    ]
    # A lone hour in a month must be seen, too.
    bar_width = max(0.8, round(span / 150, 1))
    return {
        "bars": bars,
        "bar_width": bar_width,
        "width": round(span + bar_width, 1),
        "height": height,
        "first": first,
        "last": last,
        "busiest": busiest,
    }


class ExportView(ResultsMixin, View):
    """The results for machines; whoever may not see the page may not see these."""

    def get(self, request, *args, **kwargs):
        self.object = self.get_object()
        if not self.may_see():
            raise PermissionDenied("The results of this poll are not shown to you now.")
        return self.export(self.object, tally(self.object))


class ResultsJsonView(ExportView):
    """Public results from the shared copy; else those of the page's key; else of the session.

    Its one sentence is in the language that the address names, and caches keep each by itself.
    """

    def dispatch(self, request, *args, **kwargs):
        with translation.override(asked_language(request)):
            return self.answered(request, *args, **kwargs)

    def answered(self, request, *args, **kwargs):
        if request.method not in {"GET", "HEAD", "OPTIONS"}:
            return super().dispatch(request, *args, **kwargs)
        copy = watching.shared_copy(kwargs["pk"], self.link)
        if copy.get("link") and (wait := FAILED_LOOKUPS.wait(request)):
            return too_many_lookups(request, wait)
        if request.method == "OPTIONS":
            response = HttpResponse(status=204, headers={"Allow": "GET, HEAD, OPTIONS"})
            return with_cors(response) if copy.get("is_public") else response
        if copy.get("is_public"):
            return with_cors(self.answer(copy["body"], copy["etag"]))
        if (key := request.headers.get("X-Watch-Key")) is not None:
            response = self.answer_key(key, copy)
            add_never_cache_headers(response)
            return response
        return super().dispatch(request, *args, **kwargs)

    def answer_key(self, key, copy):
        """Answer without asking who it is; a key that counts no more is no way to the session."""
        if copy and watching.opens(key, self.kwargs["pk"], copy["rule"]):
            return self.answer(copy["body"], copy["etag"])
        return JsonResponse({"error": "Open the page of the results again."}, status=403)

    def answer(self, body, etag):
        headers = {"ETag": etag, "Cache-Control": "no-cache"}
        response = HttpResponse(body, content_type="application/json", headers=headers)
        return get_conditional_response(self.request, etag=etag, response=response)

    def export(self, poll, counted):
        return self.answer(*watching.written(poll, counted))


def with_cors(response):
    """Let scripts of any site read it, without anybody's cookies."""
    response["Access-Control-Allow-Origin"] = "*"
    response["Access-Control-Allow-Methods"] = "GET, HEAD"
    # For a script that keeps the ETag itself.
    response["Access-Control-Allow-Headers"] = "If-None-Match"
    response["Access-Control-Expose-Headers"] = "ETag"
    response["Access-Control-Max-Age"] = "600"
    return response


class ResultsCsvView(ExportView):
    """A line for each choice; ``?for=excel`` as Excel opens it in the reader's language."""

    def export(self, poll, counted):
        decimal = get_format("DECIMAL_SEPARATOR") if self.is_for_excel else "."
        rows = [
            [
                choice["id"],
                as_text(choice["text"]),
                choice["votes"],
                str(choice["share"]).replace(".", decimal),
            ]
            for choice in counted["choices"]
        ]
        # Where numbers have a comma, Excel parts cells by semicolons.
        delimiter = ";" if decimal == "," else ","
        return csv_of(rows, file_name(poll, "csv"), CSV_HEADER, delimiter)

    @property
    def is_for_excel(self) -> bool:
        return self.request.GET.get("for") == "excel"


def excel_url(poll) -> str:
    """Return the address of the CSV for Excel; empty in languages where that is the usual one."""
    if get_format("DECIMAL_SEPARATOR") != ",":
        return ""
    url = poll.url("results_csv")
    return f"{url}{'&' if '?' in url else '?'}for=excel"


class SnapshotView(ExportView):
    """The frozen count, byte for byte as it was hashed."""

    def export(self, poll, counted):
        frozen = snapshot(poll) if poll.is_closed else None
        if frozen is None:
            raise Http404
        return HttpResponse(frozen.body, content_type="application/json; charset=utf-8")


class BallotsView(ExportView):
    """Every ballot of a closed poll, so that anybody can count again, and none that could be known.

    Only once nothing can be added, and only of many: from two moments one could see what was voted
    between them (``may_be_shared``). Without mark, time or id, and in a random order that is
    another for each close: a place in it says nothing of when or by whom.
    """

    def export(self, poll, counted):
        self.frozen = snapshot(poll) if poll.is_closed else None
        if self.frozen is None or not Ballot.objects.may_be_shared(poll, counted["voters"]):
            raise Http404
        return self.export_ballots(poll, counted["choices"])

    def ballots(self):
        """Yield the ids of the choices on each ballot."""
        key = salted_hmac("polls.ballots", self.frozen.sha256, algorithm="sha256").hexdigest()
        ballots = Ballot.objects.in_random_order(self.object.pk, key)
        # If the poll is opened again before the rows are read, there are none.
        ballots = ballots.filter(poll__snapshot=self.frozen.pk)
        rows = ballots.values_list("pk", "votes__choice").iterator(BATCH)
        for _, ticks in groupby(rows, key=itemgetter(0)):
            yield {choice for _, choice in ticks if choice is not None}


class BallotsCsvView(BallotsView):
    def export_ballots(self, poll, choices):
        header = [as_text(choice["text"]) for choice in choices]
        ids = [choice["id"] for choice in choices]
        rows = ([int(pk in picked) for pk in ids] for picked in self.ballots())
        return csv_of(chain([header], rows), f"poll-{poll.pk}-ballots.csv")


class BallotsJsonView(BallotsView):
    def export_ballots(self, poll, choices):
        pieces = self.pieces([choice["id"] for choice in choices])
        return streamed(pieces, "application/json", f"poll-{poll.pk}-ballots.json")

    def pieces(self, ids):
        yield f'{{"choices":{json.dumps(ids)},"ballots":['
        for n, picked in enumerate(self.ballots()):
            ticked = ",".join(str(pk) for pk in ids if pk in picked)
            yield f"{',' if n else ''}[{ticked}]"
        yield "]}"


class IntegrityView(ResultsMixin, DetailView):
    """What anybody may check of a poll; the votes of each choice only where results are shown."""

    template_name = "polls/integrity.html"

    def refuse(self):
        self.object = self.get_object()
        return None

    def get_context_data(self, **kwargs):
        poll, counted = self.object, tally(self.object)
        return super().get_context_data(
            voters=counted["voters"],
            votes=sum(choice["votes"] for choice in counted["choices"]),
            figures={figure.kind: figure.count for figure in poll.figures.all()},
            changes=self.changes(),
            snapshot=snapshot(poll) if poll.is_closed else None,
            may_see=self.may_see(),
            **shown_hours(counted["hours"]),
            **kwargs,
        )

    def changes(self):
        """Return the page of changes that the address asks for, the latest first."""
        changes = self.object.changes.order_by("-at", "-pk")
        page = Paginator(changes, CHANGES_PER_PAGE).get_page(self.request.GET.get("page"))
        for change in page:
            # It is told with the poll's own names and clocks; the poll is here already.
            change.poll = self.object
        return page
