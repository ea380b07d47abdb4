from urllib.parse import urlencode

from django.contrib import messages
from django.db import IntegrityError, OperationalError, connection
from django.http import Http404
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.generic import DetailView, FormView, TemplateView
from django.views.generic.detail import SingleObjectMixin

from two_factor.mixins import LONGEST_NEXT, TwoFactorMixin, is_verified
from two_factor.steps import when_again

from . import watching
from .address_limit import AddressLimit, refused
from .ballots import AlreadyVoted, VotingClosed
from .forms import BallotForm
from .kept import KeptMixin
from .models import Ballot, Figure, Poll
from .receipts import read_receipt, receipt_for

NOT_WRITTEN = _(
    "We could not write your vote down, so it is not counted. Please vote again in a few minutes."
)
ALREADY_VOTED = _("You have voted. In this poll a vote cannot be changed, so the first one stays.")


# Links that no poll has, in an hour: more than everyone behind one address mistypes. A link has 49
# bits (SLUG_LENGTH), so that ten thousand addresses find one of ten thousand polls in years.
FAILED_LOOKUPS = AddressLimit("failed lookups", most=200, seconds=60 * 60)


def with_query(path: str, query: dict) -> str:
    encoded = urlencode(query, doseq=True)
    return f"{path}?{encoded}" if encoded else path


class UnlistedMixin:
    """Keep the pages of a poll that is open by link only out of search engines, and from guessing.

    Who tries links is told after a while to wait, whether a link is right or not.
    """

    # A page of its own for an address that no poll has.
    not_found_template: str | None = None

    def dispatch(self, request, *args, **kwargs):
        try:
            response = super().dispatch(request, *args, **kwargs)
        except Http404:
            return self.not_found(request)
        poll = getattr(self, "object", None)
        if poll is None or poll.is_listed:
            return response
        if wait := FAILED_LOOKUPS.wait(request):
            return too_many_lookups(request, wait)
        response["X-Robots-Tag"] = "noindex"
        return response

    def not_found(self, request):
        """Answer to an address that no poll has; without a page of its own raise Http404 again."""
        has_link = "slug" in self.kwargs or "link" in request.GET
        is_lookup = has_link and getattr(self, "object", None) is None
        if is_lookup and (wait := FAILED_LOOKUPS.count(request)):
            return too_many_lookups(request, wait)
        if self.not_found_template is None:
            raise Http404
        return TemplateResponse(request, self.not_found_template, status=404)


def too_many_lookups(request, wait: int):
    reason = gettext("Too many addresses that no poll has were tried from your internet address.")
    context = {"problem": when_again(reason, wait)}
    return refused(TemplateResponse(request, "polls/unknown.html", context), wait)


class PollMixin(UnlistedMixin, TwoFactorMixin, SingleObjectMixin):
    """A page about one poll, for whoever has proven a phone number."""

    prefetched = ["choices"]

    @cached_property
    def is_verified(self) -> bool:
        return is_verified(self.request)

    def get_queryset(self):
        keeper = self.request.user if self.is_verified else None
        return Poll.objects.reachable(self.link, keeper).prefetch_related(*self.prefetched)

    @property
    def link(self) -> str:
        """The slug in the address of a poll that is open by link only."""
        link = self.request.GET.get("link", "")
        # PostgreSQL takes no NUL in a text.
        return link if link.isalnum() else ""

    def get_context_data(self, **kwargs):
        is_final = self.has_voted and not self.object.may_change
        return super().get_context_data(is_final=is_final, **kwargs)

    @cached_property
    def own_ballot(self):
        """This voter's ballot, if the phone is proven and has voted here."""
        if not self.is_verified:
            return None
        return Ballot.objects.of(self.object, str(self.request.user.two_factor.number))

    @cached_property
    def glance(self) -> tuple[float, list[int]]:
        """When this voter last voted here, and what, by the id in the address alone."""
        number = str(self.request.user.two_factor.number)
        return Ballot.objects.glance(self.kwargs["pk"], number)

    @property
    def has_voted(self) -> bool:
        return self.own_ballot is not None

    def own_choices(self):
        """Return the ids of the choices on this voter's ballot; none before the first vote."""
        return self.own_ballot.picked if self.own_ballot else []


class BallotView(KeptMixin, PollMixin, DetailView):
    template_name = "polls/ballot.html"
    kept_queries = {"link"}

    def audience(self):
        """The same picks make the same page."""
        _, picked = self.glance
        return tuple(picked)

    def get_context_data(self, **kwargs):
        own_choices = self.own_choices()
        # What was picked before signing in comes back in the address.
        picked = self.request.GET.getlist("choice") or own_choices
        form = BallotForm(self.object, initial={"choice": picked})
        return super().get_context_data(
            form=form, has_voted=self.has_voted, own_choices=own_choices, **kwargs
        )


class VoteView(PollMixin, FormView):
    http_method_names = ["post"]
    template_name = "polls/ballot.html"
    form_class = BallotForm

    def get_return_url(self):
        ballot = reverse("polls:ballot", kwargs=self.kwargs)
        link = {"link": self.link} if self.link else {}
        url = with_query(ballot, {"choice": self.request.POST.getlist("choice")} | link)
        return url if len(url) <= LONGEST_NEXT else with_query(ballot, link)

    def post(self, request, *args, **kwargs):
        self.object = self.get_object()
        return super().post(request, *args, **kwargs)

    def get_form_kwargs(self):
        return {"poll": self.object} | super().get_form_kwargs()

    def form_valid(self, form):
        number = str(self.request.user.two_factor.number)
        connected = connection.connection
        try:
            ballot = Ballot.objects.cast(self.object, number, form.cleaned_data["choice"])
        except AlreadyVoted:
            return self.refuse_vote(form, Figure.Kind.REPEATED, ALREADY_VOTED)
        except VotingClosed:
            # Where it was not closed but taken away, this is a 404.
            self.object = self.get_object()
            return self.refuse_vote(form, Figure.Kind.LATE, self.closed_sentence())
        except IntegrityError:
            # The choice was deleted after the form had looked: look again.
            self.object = self.get_object()
            return self.form_invalid(self.get_form())
        except OperationalError:
            # After a lost connection, in whose place Django makes a new one, nobody knows whether
            # the vote was the last that was written.
            if connection.connection is not connected:
                raise
            return self.show_again(form, NOT_WRITTEN, status=503)
        watching.nudge(self.object.pk)
        self.thank(ballot)
        return redirect(self.object.url("results"))

    def refuse_vote(self, form, kind, sentence):
        Figure.note(self.object, kind)
        return self.show_again(form, sentence, status=409)

    def show_again(self, form, sentence, status):
        form.add_error("choice", sentence)
        return self.render_to_response(self.get_context_data(form=form), status=status)

    def thank(self, ballot):
        counted = gettext("Your vote is counted.")
        if ballot.revision > 1:
            counted = gettext("Your new vote is counted. It replaced your earlier one.")
        receipt = receipt_for(ballot)
        url = reverse("receipt", args=[receipt])
        words = gettext(
            "With this receipt you can check that later: <a href='{url}'>{receipt}</a>."
        )
        check = format_html(words, url=url, receipt=receipt)
        messages.success(self.request, format_html("{} {}", counted, check))

    def closed_sentence(self):
        poll = self.object
        # Not by is_upcoming: the database refused a moment ago, and the opening may be past now.
        if poll.is_closed:
            words = gettext("Voting closed at %(when)s. Your vote was not counted.")
            return words % {"when": poll.moment(poll.closes_at)}
        words = gettext("Voting opens at %(when)s. Your vote was not counted.")
        return words % {"when": poll.moment(poll.opens_at)}

    def get_context_data(self, **kwargs):
        return super().get_context_data(has_voted=self.has_voted, **kwargs)


class ReceiptView(TemplateView):
    """Say whether the vote of a receipt is still counted as it was, and never what it says."""

    template_name = "polls/receipt.html"

    def get_context_data(self, code, **kwargs):
        found = read_receipt(code)
        if found is None:
            raise Http404
        ballot, is_unchanged = found
        return super().get_context_data(ballot=ballot, is_unchanged=is_unchanged, **kwargs)
