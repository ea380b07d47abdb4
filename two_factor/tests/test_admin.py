import re
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from conftest import verify
from two_factor.history import Event, range_key, record
from two_factor.models import TwoFactor, Verification

from .factories import TwoFactorFactory, UserFactory
from .pages import page

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
EVENTS = reverse("admin:two_factor_event_changelist")
PHONES = reverse("admin:two_factor_twofactor_changelist")
GRACE = "+12025550188"


def url(model, name, *args):
    return reverse(f"admin:two_factor_{model}_{name}", args=args)


@pytest.fixture
def staff(user):
    user.is_staff = True
    user.save()
    return user


@pytest.fixture
def may(staff):
    """Give permissions to ``staff``."""

    def give(*codenames):
        staff.user_permissions.set(Permission.objects.filter(codename__in=codenames))

    return give


@pytest.fixture
def superuser(staff):
    staff.is_superuser = True
    staff.save()
    return staff


@pytest.fixture
def grace():
    """Somebody else with a proven phone."""
    user = UserFactory(username="grace", email="grace@example.com")
    return TwoFactorFactory(user=user, number=GRACE)


def happened(kind, region="US", at=NOON - timedelta(minutes=30), times=1):
    for _ in range(times):
        Event.objects.create(kind=kind, region=region, at=at, range_key=range_key(GRACE))


# Who may look


@pytest.mark.parametrize("address", [EVENTS, PHONES])
def test_the_anonymous_sign_in_first(client, address):
    assert client.get(address, follow=True).redirect_chain[-1] == (f"/login/?next={address}", 302)


@pytest.mark.parametrize("address", [EVENTS, PHONES])
def test_staff_prove_their_phone_first(signed_in, superuser, address):
    last = signed_in.get(address, follow=True).redirect_chain[-1][0]
    assert last == f"/2fa/?next={address.replace('/', '%2F')}"


@pytest.mark.parametrize("address", [EVENTS, PHONES])
def test_staff_without_the_permission_may_not_look(verified, staff, address):
    assert verified.get(address).status_code == 403


def test_the_permission_to_view_is_enough(verified, may):
    may("view_event", "view_twofactor")
    assert verified.get(EVENTS).status_code == 200
    assert verified.get(PHONES).status_code == 200


# The history


def test_the_history_names_what_happened_to_whom(verified, superuser, grace):
    record(Event.Kind.VERIFIED, grace.user, number=grace.number, address="192.0.2.7")
    text = page(verified.get(EVENTS))
    assert '<td class="field-kind">verified</td>' in text
    assert "grace" in text
    assert '<td class="field-number">•••• ••88</td>' in text
    assert '<td class="field-address">192.0.2.7</td>' in text


def test_below_it_stands_how_many_codes_were_used(verified, superuser):
    happened("started", times=4)
    happened("verified", times=3)
    response = verified.get(EVENTS)
    assert '<details class="module">' in response.text.partition('id="result_list"')[2]
    for cell in ["2026-06-01 11:00", "US", "4", "3", "75 %"]:
        assert f"<td>{cell}</td>" in response.text
    assert '<rect width="75" height="12" fill="var(--link-fg)"/>' in response.text


def test_a_share_that_brakes_has_a_colour_of_its_own(verified, superuser):
    happened("started", times=10)
    happened("verified")
    assert '<rect width="10" height="12" fill="var(--error-fg)"/>' in verified.get(EVENTS).text


def test_a_share_is_never_drawn_longer_than_its_box(verified, superuser):
    happened("started", at=NOON)
    happened("verified", at=NOON, times=2)
    assert '<rect width="100" height="12" fill="var(--link-fg)"/>' in verified.get(EVENTS).text


def test_without_codes_it_says_so(verified, superuser):
    happened("started", at=NOON - timedelta(hours=25))
    text = verified.get(EVENTS).text
    assert "No code was sent." in text
    assert "<rect" not in text


def test_the_chart_needs_no_style_that_the_policy_forbids(verified, superuser):
    happened("started")
    folded = verified.get(EVENTS).text.partition('<details class="module">')[2]
    chart = folded.partition("</table>")[0]
    assert "<svg" in chart
    assert "style=" not in chart


@pytest.mark.parametrize(("search", "found"), [("grace", 1), ("ada", 0), (GRACE, 0), ("88", 0)])
def test_the_history_is_searched_by_user_alone(verified, superuser, grace, search, found):
    record(Event.Kind.VERIFIED, grace.user, number=grace.number)
    text = page(verified.get(EVENTS, {"q": search}))
    assert text.count('<td class="field-number">') == found


@pytest.mark.parametrize("model", ["event", "twofactor"])
def test_nothing_can_be_added(verified, superuser, model):
    for method in [verified.get, verified.post]:
        assert method(url(model, "add")).status_code == 403


@pytest.fixture
def rows(grace):
    return {
        "event": record(Event.Kind.VERIFIED, grace.user, number=grace.number),
        "twofactor": grace,
    }


@pytest.mark.parametrize("model", ["event", "twofactor"])
def test_nothing_can_be_changed(verified, superuser, rows, model):
    data = {"user": superuser.pk, "kind": "reset", "number": "+12025550177", "failures": "9"}
    assert verified.post(url(model, "change", rows[model].pk), data).status_code == 403
    assert verified.post(url(model, "changelist"), data | {"_save": "Save"}).status_code == 200
    grace, recorded = TwoFactor.objects.get(user__username="grace"), Event.objects.get()
    assert (grace.number, grace.failures) == (GRACE, 0)
    assert (recorded.kind, recorded.user) == ("verified", grace.user)


@pytest.mark.parametrize("model", ["event", "twofactor"])
def test_nothing_can_be_deleted(verified, superuser, rows, model):
    row = rows[model]
    assert verified.post(url(model, "delete", row.pk), {"post": "yes"}).status_code == 403
    action = {"action": "delete_selected", "_selected_action": row.pk, "post": "yes"}
    verified.post(url(model, "changelist"), action)
    assert type(row).objects.filter(pk=row.pk).exists()


# Numbers


def pages_about(grace):
    """Return the addresses that show somebody's phone."""
    return [
        PHONES,
        f"{PHONES}?q=grace",
        url("twofactor", "change", grace.pk),
        url("twofactor", "history", grace.pk),
        reverse("admin:auth_user_change", args=[grace.user_id]),
        reverse("admin:auth_user_delete", args=[grace.user_id]),
    ]


def test_no_page_shows_a_number_in_full(verified, superuser, grace):
    Verification.objects.create(
        user=grace.user, number="+12025550177", channel="sms", expires_at=NOON
    )
    for address in pages_about(grace):
        response = verified.get(address)
        assert response.status_code == 200
        for number in ["5550188", "555-0188", "5550177", "555-0177"]:
            assert number not in page(response), address
        assert not re.search(r"(?<!\w)(\+?1[ (-]*)?202\b", page(response)), address


def test_the_list_shows_the_end_of_a_number(verified, superuser, grace):
    assert '<td class="field-masked_number">•••• ••88</td>' in page(verified.get(PHONES))


@pytest.mark.parametrize("search", [GRACE, "5550188", "202"])
def test_nobody_is_found_by_number(verified, superuser, grace, search):
    text = page(verified.get(PHONES, {"q": search}))
    assert "•••• ••88" not in text
    assert "0 results" in text


@pytest.mark.parametrize(
    ("address", "lookup"),
    [
        (PHONES, "number"),
        (PHONES, "number__startswith"),
        (PHONES, "user__two_factor__number__startswith"),
        (EVENTS, "user__two_factor__number__startswith"),
        (reverse("admin:auth_user_changelist"), "two_factor__number__startswith"),
    ],
)
def test_no_number_can_be_found_out_digit_by_digit(verified, superuser, grace, address, lookup):
    assert verified.get(address, {lookup: "+1202"}).status_code == 400


# Removing a phone


def reset(browser, *phones):
    data = {"action": "reset", "_selected_action": [phone.pk for phone in phones]}
    return browser.post(PHONES, data, follow=True)


def test_a_phone_can_be_removed(verified, may, grace):
    may("change_twofactor")
    response = reset(verified, grace)
    assert "Removed. They prove a phone anew at their next vote." in page(response)
    assert TwoFactor.objects.get(pk=grace.pk).number is None
    assert Event.objects.get().kind == "reset"


def test_removing_a_phone_takes_the_permission_to_change(verified, may, grace):
    may("view_twofactor")
    reset(verified, grace)
    assert TwoFactor.objects.get(pk=grace.pk).number == GRACE
    assert 'value="reset"' not in verified.get(PHONES).text


def test_only_the_chosen_are_removed(verified, superuser, two_factor, grace):
    other = TwoFactorFactory()
    reset(verified, grace, other)
    assert list(TwoFactor.objects.exclude(number=None)) == [two_factor]


def test_removing_a_phone_ends_its_verified_sessions(verified, superuser, grace):
    browser = Client()
    browser.force_login(grace.user)
    verify(browser, grace)
    address = reverse("two_factor:recovery_codes")
    assert browser.get(address).status_code == 200
    reset(verified, grace)
    assert browser.get(address)["Location"].startswith("/2fa/?next=")


def test_removing_a_phone_leaves_the_administrator_verified(verified, superuser, grace):
    reset(verified, grace)
    assert verified.get(PHONES).status_code == 200


def test_whoever_loses_a_phone_gets_mail(verified, superuser, grace, mailoutbox):
    reset(verified, grace)
    [mail] = mailoutbox
    assert mail.to == ["grace@example.com"]
    assert "was removed" in mail.subject


def test_it_is_noted_who_removed_a_phone(verified, superuser, grace):
    reset(verified, grace)
    entry = LogEntry.objects.get()
    assert (entry.user, entry.object_id) == (superuser, str(grace.pk))
    assert entry.get_change_message() == "Removed the phone."


def test_an_account_with_a_phone_can_be_deleted(verified, superuser, grace):
    address = reverse("admin:auth_user_delete", args=[grace.user_id])
    verified.post(address, {"post": "yes"})
    assert not get_user_model().objects.filter(username="grace").exists()


# Queries


@pytest.mark.parametrize("address", [EVENTS, PHONES])
def test_the_lists_queries_do_not_grow(verified, superuser, address):
    counts = set()
    for more in [1, 3]:
        for phone in TwoFactorFactory.create_batch(more):
            record(Event.Kind.STARTED, phone.user, number=phone.number)
        with CaptureQueriesContext(connection) as queries:
            assert verified.get(address).status_code == 200
        counts.add(len(queries))
    assert len(counts) == 1
