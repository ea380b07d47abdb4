from datetime import timedelta
from urllib.parse import urlencode

from django.contrib import messages
from django.db import IntegrityError, OperationalError, connection, transaction
from django.http import Http404
from django.shortcuts import redirect, render
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.generic import DetailView, FormView, TemplateView
from django.views.generic.detail import SingleObjectMixin

from two_factor.mixins import TwoFactorMixin, is_verified
from two_factor.steps import when_again

from . import watching
from .address_limit import AddressLimit, refused
from .ballots import AlreadyVoted, PickRefused, PollChanged, VotingClosed, held_poll
from .forms import BallotForm
from .kept import KeptMixin
from .models import Ballot, Figure, Poll
from .picks import forget_pick, is_from_list, is_from_own_page, keep_pick, pick_for
from .receipts import UNKNOWN, canonical, read_receipt, receipt_for

NOT_WRITTEN = _(
    "We could not write your vote down, so it is not counted. Please vote again in a few minutes."
)
ALREADY_VOTED = _("You have voted. In this poll a vote cannot be changed, so the first one stays.")
POLL_CHANGED = _(
    "This poll has changed since you opened it. Your vote is not counted. Read the poll again, "
    "then vote."
)
# Added where the vote that is not counted was to replace another.
EARLIER_COUNTS = _("Your earlier vote still counts.")
PICKED_BEFORE = _("This is what you picked before you signed in. Nothing is counted yet.")
PICKED_INSTEAD = _(
    "This is what you picked before you signed in. It is not counted yet: until you vote again, "
    "your earlier vote counts."
)
CHANGED_SINCE_PICK = _(
    "This poll has changed since you picked this. Nothing is counted yet. Read the poll again "
    "before you vote."
)
PICKED_BY_LINK = _("The link that you followed picked this. Nothing is counted yet.")
TRY_AGAIN = _(
    "The page that you voted from was too old, so your vote is not counted. Your pick is still "
    "here: please vote again."
)
MAX_LINK = 64  # characters
# The same vote sent again within this time is a double click or a reload.
RESENT_WITHIN = timedelta(minutes=1)
# The session's key for the poll in which it had a repeated vote refused last.
REFUSED = "refused_vote"


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
        return link if link.isalnum() and len(link) <= MAX_LINK else ""

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

    def refuse(self):
        refusal = super().refuse()
        # Another site must not pick anything for its visitors.
        if refusal and "choice" in self.request.GET and is_from_list(self.request):
            keep_pick(self.request, self.kwargs["pk"], self.request.GET.getlist("choice"))
        return refusal

    def get_return_url(self):
        return ballot_url(self.kwargs["pk"], self.link)

    def audience(self):
        """The same picks make the same page."""
        if pick_for(self.request, self.kwargs["pk"]):
            return None
        _, picked = self.glance
        return tuple(picked)

    def get_context_data(self, **kwargs):
        own_choices = self.own_choices()
        picked, note = self.picked(own_choices)
        form = BallotForm(self.object, initial={"choice": picked})
        if not form.picked:
            note = ""
        elif note and self.is_changed_since_pick(form):
            note = CHANGED_SINCE_PICK
        return super().get_context_data(
            form=form, note=note, has_voted=self.has_voted, own_choices=own_choices, **kwargs
        )

    def picked(self, own_choices) -> tuple[list, str]:
        """Return the ids to show as picked, and the sentence that says who picked them."""
        if self.has_voted and not self.object.may_change:
            return own_choices, ""
        pick, linked = pick_for(self.request, self.object.pk), self.request.GET.getlist("choice")
        is_link_asked = self.is_verified and not self.has_voted and linked
        if is_link_asked and (pick is None or is_from_list(self.request)):
            return linked, PICKED_BY_LINK
        if pick:
            return pick["choice"], PICKED_INSTEAD if self.has_voted else PICKED_BEFORE
        return own_choices, ""

    def is_changed_since_pick(self, form) -> bool:
        pick = pick_for(self.request, self.object.pk)
        return bool(pick and pick["seen"]) and pick["seen"] != form.seen


def ballot_url(pk: int, link: str) -> str:
    return with_query(reverse("polls:ballot", args=[pk]), {"link": link} if link else {})


class VoteView(PollMixin, FormView):
    http_method_names = ["post"]
    template_name = "polls/ballot.html"
    form_class = BallotForm

    def refuse(self):
        refusal = super().refuse()
        if refusal:
            self.keep_pick()
        return refusal

    def csrf_failed(self, problem: str):
        """Show the ballot again with its pick, where a page of ours sent it with an old token.

        Others must not pick for anyone (see pollstr.errors.csrf_failure).
        """
        if not is_from_own_page(self.request):
            return render(self.request, "403_csrf.html", {"sentence": problem}, status=403)
        return StaleVoteView.as_view()(self.request, **self.kwargs)

    def keep_pick(self):
        sent = self.request.POST
        keep_pick(self.request, self.kwargs["pk"], sent.getlist("choice"), sent.get("seen", ""))

    def get_return_url(self):
        return ballot_url(self.kwargs["pk"], self.link)

    def get_form_kwargs(self):
        return {"poll": self.object} | super().get_form_kwargs()

    def post(self, request, *args, **kwargs):
        connected = connection.connection
        try:
            return self.counted(self.cast())
        except AlreadyVoted:
            ballot = self.own_ballot
            return self.counted(ballot) if self.is_resent(ballot) else self.refuse_repeat()
        except VotingClosed:
            return self.refuse_late()
        except PollChanged:
            return self.show_again(POLL_CHANGED, status=409)
        except (PickRefused, IntegrityError):
            # Where a choice was deleted meanwhile, the form has to look again.
            self.look_again()
            return self.form_invalid(self.form)
        except OperationalError:
            # After a lost connection, in whose place Django makes a new one, nobody knows whether
            # the vote was the last that was written.
            if connection.connection is not connected:
                raise
            self.look_again()
            return self.show_again(NOT_WRITTEN, status=503)

    def look_again(self):
        self.object = self.get_object()
        self.form = self.get_form()

    @transaction.atomic
    def cast(self) -> Ballot:
        """Count the vote, by the poll as it is while it is held. Raises VoteRefused."""
        self.object = held_poll(self.get_queryset().filter(pk=self.kwargs["pk"]))
        if self.object is None:
            raise Http404
        self.form = self.get_form()
        if self.form.is_outdated:
            raise PollChanged if self.object.is_open else VotingClosed
        if not self.form.is_valid():
            raise PickRefused
        number = str(self.request.user.two_factor.number)
        return Ballot.objects.write(self.object, number, self.form.cleaned_data["choice"])

    def counted(self, ballot):
        watching.nudge(self.object.pk)
        forget_pick(self.request, self.object.pk)
        self.thank(ballot)
        return redirect(self.object.url("results"))

    def is_resent(self, ballot) -> bool:
        """Whether this is the vote of a moment ago once more, as after a double click."""
        if ballot is None or abs(timezone.now() - ballot.cast_at) > RESENT_WITHIN:
            return False
        # Someone who was told that the vote stays, and tries again, means it.
        if self.request.session.get(REFUSED) == self.object.pk:
            return False
        return set(ballot.picked) == set(self.form.cleaned_data["choice"])

    def refuse_repeat(self):
        self.request.session[REFUSED] = self.object.pk
        return self.refuse_vote(Figure.Kind.REPEATED, ALREADY_VOTED)

    def refuse_late(self):
        # Where it was not closed but taken away, this is a 404.
        self.look_again()
        return self.refuse_vote(Figure.Kind.LATE, self.closed_sentence())

    def refuse_vote(self, kind, sentence):
        Figure.note(self.object, kind)
        return self.show_again(sentence, status=409)

    def show_again(self, sentence, status):
        if self.has_voted and sentence is not ALREADY_VOTED:
            sentence = f"{sentence} {EARLIER_COUNTS}"
        # Before what is wrong with the pick itself.
        self.form.errors.pop("choice", None)
        self.form.add_error("choice", sentence)
        context = self.get_context_data(form=self.form)
        return self.render_to_response(context, status=status)

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
        # By the clock that refused the vote, which is the database's and may differ from ours.
        if Poll.objects.upcoming().filter(pk=poll.pk).exists():
            words = gettext("Voting opens at %(when)s. Your vote was not counted.")
            return words % {"when": poll.moment(poll.opens_at)}
        if poll.closes_at is None or not poll.is_published:
            return gettext("This poll takes no votes now. Your vote was not counted.")
        words = gettext("Voting closed at %(when)s. Your vote was not counted.")
        return words % {"when": poll.moment(poll.closes_at)}

    def get_context_data(self, **kwargs):
        return super().get_context_data(
            has_voted=self.has_voted, own_choices=self.own_choices(), **kwargs
        )


class StaleVoteView(VoteView):
    """Answer a vote whose token is too old: nothing is counted, and the pick is shown again.

    Only for a request that a page of this site sent. Others must not pick for anybody.
    """

    def refuse(self):
        refusal = super().refuse()
        if refusal is None:
            return None
        context = {"sentence": TRY_AGAIN, "next": self.get_return_url()}
        return render(self.request, "403_csrf.html", context, status=403)

    def post(self, request, *args, **kwargs):
        self.look_again()
        return self.show_again(TRY_AGAIN, status=403)


class ReceiptView(TemplateView):
    """Say whether the vote of a receipt is still counted as it was, and never what it says."""

    template_name = "polls/receipt.html"

    def get(self, request, code):
        if code != canonical(code):
            return redirect("receipt", canonical(code))
        receipt = read_receipt(code)
        context = self.get_context_data(receipt=receipt)
        return self.render_to_response(context, status=404 if receipt.state == UNKNOWN else 200)
