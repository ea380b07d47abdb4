"""Forms that may be sent so often only, and forms that hash a password."""

import math
import unicodedata

from django.utils import timezone
from django.utils.translation import gettext_lazy

from two_factor.addresses import limit_names
from two_factor.models import Limit
from two_factor.steps import when_again

from .hashers import HASHING_BUSY

# Seconds after which to try again where too many passwords were being hashed.
HASHING_RETRY = 5


def as_looked_up(typed: str, longest: int) -> str:
    """Return what forms make of a name, lest each spelling of it have a count of its own."""
    typed = typed.strip()[:longest].encode("utf-8", "replace").decode()
    return unicodedata.normalize("NFKC", typed).casefold()


def as_mailbox(typed: str) -> str:
    """Return the mailbox that an address leads to: without ``+tag``, in small letters."""
    local, at, domain = as_looked_up(typed, 254).rpartition("@")
    return local.partition("+")[0] + at + domain


def first_reached(limits) -> Limit | None:
    """Return the limit that keeps others waiting longest, of those used up. Writes nothing.

    ``limits`` are name, value, the most there may be, and the seconds of its window.
    """
    now = [Limit.objects.unused(name, value, seconds) for name, value, _, seconds in limits]
    used = Limit.objects.in_bulk([limit.pk for limit in now])
    reached = [
        limit
        for limit, (_, _, most, _) in zip(now, limits, strict=True)
        if (used.get(limit.pk) or limit).count >= most
    ]
    return max(reached, key=lambda limit: limit.ends_at, default=None)


class HashingFormMixin:
    """A form whose password may find too many others being hashed: 429, and nothing is counted."""

    def form_invalid(self, form):
        response = super().form_invalid(form)
        if is_busy(form):
            response.status_code = 429
            response["Retry-After"] = HASHING_RETRY
        return response


def is_busy(form) -> bool:
    return any(
        error.code == HASHING_BUSY for errors in form.errors.as_data().values() for error in errors
    )


class LimitedFormMixin(HashingFormMixin):
    """A form that may be sent so often only; afterwards it answers 429 and says when again.

    What is sent at the same moment can pass a limit by as many as run at once.
    """

    too_many = gettext_lazy("Too many tries.")
    # Names of limits that each form counts for, whatever is in it.
    counted_names: tuple[str, ...] = ()

    def post(self, request, *args, **kwargs):
        limit = first_reached(self.limits())
        if limit:
            return self.say_when_again(limit)
        self.count(*self.counted_names)
        return super().post(request, *args, **kwargs)

    def why_refused(self, limit) -> str:
        return self.too_many

    def count(self, *names, amount=1):
        """Count once more for the limits with these names, and in the networks of an address."""
        counted = {each for name in names for each in limit_names(name)}
        uses = [
            (name, value, seconds) for name, value, _, seconds in self.limits() if name in counted
        ]
        if uses:
            Limit.objects.add_each(uses, amount)

    def say_when_again(self, limit):
        wait = max(1, math.ceil((limit.ends_at - timezone.now()).total_seconds()))
        problem = when_again(self.why_refused(limit), wait)
        # What was typed is shown again, but not looked at: not even whether it was right.
        kwargs = self.get_form_kwargs() | {"data": None, "files": None}
        form = self.get_form_class()(**kwargs | {"initial": self.request.POST.dict()})
        context = self.get_context_data(form=form, problem=problem)
        response = self.render_to_response(context, status=429)
        response["Retry-After"] = wait
        return response
