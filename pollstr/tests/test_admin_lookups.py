"""No list of the administration tells by its address what its page does not show."""

import re
from datetime import UTC, datetime

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.urls import reverse

from polls.models import Ballot, Report
from polls.tests import people
from polls.tests.factories import PollFactory
from two_factor.admin import StrictModelAdmin
from two_factor.history import Event, record
from two_factor.tests.factories import TwoFactorFactory

pytestmark = pytest.mark.django_db
ADMINS = list(admin.site._registry.values())


def address_of(model_admin, name="changelist", *args):
    opts = model_admin.opts
    return reverse(f"admin:{opts.app_label}_{opts.model_name}_{name}", args=args)


@pytest.fixture
def staff():
    return people.staff(None)


@pytest.fixture
def world():
    """Make someone who reported a poll, has a phone and is in a group; return what tells of it."""
    reporter = TwoFactorFactory(number="+12025550188", user__username="grace")
    reporter.user.groups.add(Group.objects.create(name="Clerks"))
    poll = PollFactory(author=reporter.user)
    ballot = Ballot.objects.cast(poll, str(reporter.number), [poll.choices.first().pk])
    report = Report.objects.create(poll=poll, reporter=reporter.user, reason="spam", words="Bad.")
    record(Event.Kind.VERIFIED, reporter.user, number=reporter.number)
    return {"user": reporter.user, "poll": poll, "ballot": ballot, "report": report}


def hostile_lookups(model):
    """Return parameters for each field of ``model`` and for each field one relation away."""
    for field in model._meta.get_fields():
        # Also from the other side of a relation.
        name = getattr(field, "name", None)
        yield from [name, f"{name}_id", f"{name}__pk", f"{name}__in", f"{name}__startswith"]
        yield from [f"{name}__gt", f"{name}__regex", f"{name}__isnull"]
        for far in field.related_model._meta.get_fields() if field.related_model else []:
            yield from [f"{name}__{far.name}", f"{name}__{far.name}__startswith"]
            yield from [f"{name}__{far.name}__pk", f"{name}__{far.name}_id"]
    yield from ["pk", "id", "id__exact", "pk__in"]


# What the pages themselves link to.
OPEN = {
    "poll": {"is_listed", "is_listed__isnull"},
    "event": {"kind", "region", "channel", "kind__isnull", "region__isnull", "channel__isnull"},
    "user": {"is_staff", "is_superuser", "is_active", "groups"}
    | {f"{name}__isnull" for name in ["is_staff", "is_superuser", "is_active", "groups"]},
}


@pytest.mark.parametrize("model_admin", ADMINS, ids=str)
def test_every_admin_is_strict(model_admin):
    assert isinstance(model_admin, StrictModelAdmin)


@pytest.mark.parametrize("model_admin", ADMINS, ids=str)
def test_a_list_is_filtered_by_nothing_that_it_does_not_offer(model_admin, rf):
    """Asked without a request of its own for each of some hundred names."""
    request = rf.get("/")
    hostile = set(hostile_lookups(model_admin.model))
    allowed = {name for name in hostile if model_admin.lookup_allowed(name, "1", request)}
    assert allowed <= OPEN.get(model_admin.opts.model_name, set())


HOSTILE = [
    ("user", "report", "report"),
    ("user", "report__id", "report"),
    ("user", "report__pk", "report"),
    ("user", "report__poll", "poll"),
    ("user", "poll", "poll"),
    ("user", "two_factor__number__startswith", "user"),
    ("user", "event__range_key", "user"),
    ("user", "password__startswith", "user"),
    ("report", "reporter", "user"),
    ("report", "reporter_id", "user"),
    ("report", "reporter__id", "user"),
    ("report", "reporter__pk", "user"),
    ("report", "reporter__exact", "user"),
    ("report", "reporter__id__exact", "user"),
    ("report", "reporter__username", "user"),
    ("poll", "ballots", "ballot"),
    ("poll", "ballots__mark__startswith", "ballot"),
    ("poll", "reports__reporter", "user"),
    ("poll", "slug__startswith", "poll"),
    ("event", "range_key", "user"),
    ("event", "range_key__startswith", "user"),
    ("event", "user", "user"),
    ("twofactor", "number__startswith", "user"),
    ("twofactor", "generation", "user"),
    ("group", "user", "user"),
    ("group", "user__report", "report"),
]


@pytest.mark.parametrize(("model", "lookup", "of"), HOSTILE)
def test_a_hostile_lookup_is_refused(staff, world, model, lookup, of):
    [model_admin] = [each for each in ADMINS if each.opts.model_name == model]
    response = staff.get(address_of(model_admin), {lookup: world[of].pk})
    assert response.status_code == 400


@pytest.mark.parametrize("model_admin", ADMINS, ids=str)
@pytest.mark.parametrize("field", ["reporter", "number", "username", "password", "slug", "mark"])
@pytest.mark.parametrize("page", ["changelist", "change"])
def test_no_popup_opens_a_row_by_another_column(staff, world, model_admin, field, page):
    args = [model_admin.model.objects.first().pk] if page == "change" else []
    address = address_of(model_admin, page, *args)
    response = staff.get(address, {"_to_field": field, "_popup": 1})
    assert response.status_code == 400


FILTERS = [
    ("poll", "is_listed__exact", "1"),
    ("poll", "state", "open"),
    ("report", "settled", "yes"),
    ("event", "kind__exact", "verified"),
    ("event", "region", "US"),
    ("event", "channel", "sms"),
    ("event", "at__year", "2026"),
    ("event", "at__month", "1"),
    ("event", "at__day", "1"),
    ("user", "is_staff__exact", "1"),
    ("user", "groups__id__exact", "1"),
    ("user", "groups__isnull", "True"),
]


@pytest.mark.parametrize(("model", "lookup", "value"), FILTERS)
def test_the_filters_that_are_shown_work(staff, world, model, lookup, value):
    [model_admin] = [each for each in ADMINS if each.opts.model_name == model]
    date = {"at__year": "2026", "at__month": "1"} if lookup.startswith("at__") else {}
    response = staff.get(address_of(model_admin), date | {lookup: value})
    assert response.status_code == 200


@pytest.mark.parametrize("model_admin", ADMINS, ids=str)
def test_each_filter_that_a_list_links_to_works(staff, world, model_admin):
    address = address_of(model_admin)
    response = staff.get(address)
    changelist = response.context["cl"]
    links = [
        choice["query_string"]
        for spec in changelist.filter_specs
        for choice in spec.choices(changelist)
    ]
    for link in links:
        assert staff.get(address + link).status_code == 200, link


@pytest.mark.parametrize("order", ["1", "-1", "0.2.-3", "99", "-99", "x", "1" * 400, "-", "٣"])
@pytest.mark.parametrize("model_admin", ADMINS, ids=str)
def test_any_order_is_one_of_columns_that_are_shown(staff, world, model_admin, order):
    response = staff.get(address_of(model_admin), {"o": order})
    assert response.status_code == 200
    changelist = response.context["cl"]
    shown = {changelist.get_ordering_field(name) for name in changelist.list_display}
    shown |= {"pk", *changelist.model_admin.get_ordering(response.wsgi_request)}
    shown |= set(model_admin.opts.ordering)
    names = {str(name).lstrip("-") for name in changelist.queryset.query.order_by}
    assert names <= {str(name).lstrip("-") for name in shown}


ODD = [
    "?p=99999999999999999999",
    "?p=-1",
    "?p=x",
    "?e=1",
    "?q=%00",
    "?all=",
    "?_facets=True",
    "?_popup=x",
    "?o=" + "1." * 300,
    "?q=" + "x+" * 2000,
    "?at__year=0",
    "?at__year=99999",
    "?at__month=13&at__year=2026",
    "?at__day=31&at__month=2&at__year=2026",
    "?region=%00",
    "?groups__id__exact=x",
    "?groups__id__exact=99999999999999999999",
    "?is_listed__exact=x",
    "?kind__exact=%00",
    "?state=%00",
    "?region__isnull=x",
    "?kind__isnull=x",
]


@pytest.mark.parametrize(
    "query",
    ODD,
)
@pytest.mark.parametrize("model_admin", ADMINS, ids=str)
def test_no_odd_address_is_an_error(staff, world, model_admin, query):
    response = staff.get(address_of(model_admin) + query)
    assert response.status_code in {200, 302, 400, 404}


# Pages that might name a reporter


def pages(world):
    poll, report, user = world["poll"], world["report"], world["user"]
    return [
        reverse("admin:polls_report_changelist"),
        reverse("admin:polls_report_change", args=[report.pk]),
        reverse("admin:polls_report_history", args=[report.pk]),
        reverse("admin:polls_poll_history", args=[poll.pk]),
        reverse("admin:polls_poll_delete", args=[poll.pk]),
        reverse("admin:polls_poll_change", args=[poll.pk]),
    ], [
        reverse("admin:auth_user_change", args=[user.pk]),
        reverse("admin:auth_user_history", args=[user.pk]),
        reverse("admin:auth_user_delete", args=[user.pk]),
    ]


def test_no_page_about_reports_names_who_reported(staff, world):
    reporter = TwoFactorFactory(user__username="who-reported").user
    Report.objects.update(reporter=reporter)
    Ballot.objects.all().delete()
    about_reports, _ = pages(world)
    for address in about_reports:
        assert "who-reported" not in staff.get(address).text, address
    chosen = {"action": "delete_selected", "_selected_action": world["poll"].pk}
    assert "who-reported" not in staff.post(reverse("admin:polls_poll_changelist"), chosen).text


def test_no_page_about_a_user_tells_what_they_reported(staff, world):
    _, about_user = pages(world)
    for address in about_user:
        response = staff.get(address)
        assert response.status_code == 200
        main = response.text.partition('id="content"')[2]
        assert str(world["report"]) not in main, address
        # The permissions to choose from name reports, too.
        assert "report" not in re.sub(r"<option.*?</option>", "", main).lower(), address


def test_no_search_finds_a_user_by_a_report(staff, world):
    reports = reverse("admin:polls_report_changelist")
    assert staff.get(reports, {"q": "grace"}).text.count('class="field-reason"') == 1


@pytest.mark.parametrize(
    ("model", "field"), [("report", "reporter"), ("report", "poll"), ("poll", "author")]
)
def test_nothing_is_completed(staff, world, model, field):
    asked = {"app_label": "polls", "model_name": model, "field_name": field, "term": "g"}
    assert staff.get(reverse("admin:autocomplete"), asked).status_code == 404


ODD_IDS = ["0", "-1", "x", "99999999999999999999", "_0A", "_00", "%00", "1'", "é"]
ODD_ACTIONS = [
    {"action": "delete_selected"},
    {"action": "hide", "_selected_action": "x"},
    {"action": "hide", "_selected_action": "99999999999999999999"},
    {"action": "show_again", "_selected_action": ["1", "\0"]},
    {"action": "settle", "_selected_action": "x"},
    {"action": "reset", "_selected_action": "\0"},
    {"action": "nonsense", "_selected_action": "1"},
    {"action": "hide", "_selected_action": "1", "because": "\0"},
    {"action": "hide", "select_across": "1", "index": "x", "_selected_action": "1"},
    {"form-TOTAL_FORMS": "x", "_save": "1"},
]


@pytest.mark.parametrize("model_admin", ADMINS, ids=str)
def test_no_odd_row_and_no_odd_action_is_an_error(staff, world, model_admin):
    staff.raise_request_exception = False
    address = address_of(model_admin)
    for odd in ODD_IDS:
        for page in ["change/", "delete/", "history/", "password/", ""]:
            for method in [staff.get, staff.post]:
                assert method(f"{address}{odd}/{page}").status_code < 500, (odd, page)
    for data in ODD_ACTIONS:
        assert staff.post(address, data).status_code < 500, data


def test_a_year_of_events_can_be_chosen(staff, world, time_machine):
    at = datetime(2026, 6, 1, tzinfo=UTC)
    Event.objects.create(kind="verified", at=at, number="•••• ••77")
    events = reverse("admin:two_factor_event_changelist")
    text = staff.get(events, {"at__year": "2026", "at__month": "6", "at__day": "1"}).text
    assert "••77" in text
    assert "••88" not in text
