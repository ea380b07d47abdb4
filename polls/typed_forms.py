"""Forms that lose nothing that was typed, on the way through the gate or with an old token."""

import json

from django.contrib import messages
from django.core import signing
from django.http import QueryDict
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _

from two_factor.models import HOUR

from .address_limit import AddressLimit
from .picks import is_from_own_page

# The session's key for what was typed before the gate: values by field, by the page's path.
TYPED = "typed_polls"
MAX_TYPED_BYTES = 100_000
# Forms that one internet address may leave with us an hour while signed out: each is a session.
TYPED_POLLS = AddressLimit("typed polls", most=30, seconds=HOUR)
# What the hidden field "writer" of a form is signed with.
WRITER_SALT = "polls.writer"

KEPT = _("What you typed is kept. It is back in the form when you are done here.")
NOT_KEPT = _("We could not keep what you typed. Go back in your browser and copy it.")


class TypedMixin:
    """A form page behind the gate; list it before the gate's mixin.

    Its form has the hidden field ``writer``. ``texts`` names the fields that are worth keeping.
    """

    texts: list[str] = []
    # What a form sends beside what was typed.
    not_typed = {"csrfmiddlewaretoken"}

    def refuse(self):
        refusal = super().refuse()
        if refusal and self.request.method == "POST":
            self.keep_typed()
        return refusal

    def keep_typed(self):
        """Keep what was typed in the session, for whoever comes back from the gate with it."""
        typed = typed_in(self.request.POST, self.not_typed)
        if not any(text.strip() for name in self.texts for text in typed.get(name, [])):
            return
        is_kept = len(json.dumps(typed, ensure_ascii=False).encode()) <= MAX_TYPED_BYTES
        if is_kept and not self.request.user.is_authenticated:
            is_kept = self.may_keep_of_strangers()
        if is_kept:
            self.request.session[TYPED] = {self.request.path: typed}
        messages.info(self.request, KEPT if is_kept else NOT_KEPT)

    def may_keep_of_strangers(self) -> bool:
        return not TYPED_POLLS.count(self.request)

    def kept_typed(self) -> QueryDict | None:
        """Return what this user typed here before the gate."""
        typed = self.request.session.get(TYPED, {}).get(self.request.path)
        # A release before this one kept a query string.
        if not isinstance(typed, dict):
            return None
        signed = typed.get("writer", [""])[-1]
        if signed and read_writer(signed) != self.request.user.pk:
            return None
        return as_query(typed)

    def forget_typed(self):
        self.request.session.pop(TYPED, None)

    def get_form(self, form_class=None):
        if self.request.method != "POST" and (typed := self.kept_typed()):
            return self.form_with(typed)
        return super().get_form(form_class)

    def form_with(self, data):
        """Return the form with what was typed, which is not looked at yet."""
        kwargs = self.get_form_kwargs() | {"data": None, "files": None}
        typed = typed_values(self.get_form_class()(**kwargs), data)
        return self.get_form_class()(**kwargs | {"initial": kwargs["initial"] | typed})

    def get_initial(self):
        user = self.request.user
        writer = signed_writer(user) if user.is_authenticated else ""
        return super().get_initial() | {"writer": writer}


class ShownAgainMixin(TypedMixin):
    """Show the form of one poll again where its token does not hold.

    Whoever has to pass the gate first finds what was typed in the form afterwards. The view answers
    a POST by ``show_again`` where there is a ``stale_problem``.
    """

    stale_problem = ""

    def csrf_failed(self, problem: str):
        """See pollstr.errors.csrf_failure. What no page of ours sent is not looked at."""
        if not is_from_own_page(self.request):
            context = {"sentence": problem, "form_page": self.request.path}
            return render(self.request, "403_csrf.html", context, status=403)
        self.stale_problem = problem
        return self.dispatch(self.request, *self.args, **self.kwargs)

    def show_again(self):
        form = self.form_with(self.request.POST)
        context = self.get_context_data(form=form, problem=self.stale_problem)
        return self.render_to_response(context, status=403)


def typed_in(data, not_typed) -> dict[str, list[str]]:
    """Return the values of a form by field, without its token and its buttons."""
    return {name: values for name, values in data.lists() if name not in not_typed}


def typed_values(form, data) -> dict:
    """Return what the fields of ``form`` find in ``data``, to begin another form with."""
    typed = {
        name: field.widget.value_from_datadict(data, {}, name)
        for name, field in form.fields.items()
    }
    # Who it is for is written anew, and what was not sent in secret begins as in any form.
    return {name: value for name, value in typed.items() if name != "writer" and value is not None}


def as_query(typed: dict[str, list[str]]) -> QueryDict:
    query = QueryDict(mutable=True)
    for name, values in typed.items():
        query.setlist(name, values)
    return query


def signed_writer(user) -> str:
    return signing.dumps(user.pk, salt=WRITER_SALT, compress=False)


def read_writer(signed: str) -> int | None:
    """Return the id of the user whom a form was made for, None where it names nobody."""
    try:
        return signing.loads(signed, salt=WRITER_SALT)
    except signing.BadSignature:
        return None
