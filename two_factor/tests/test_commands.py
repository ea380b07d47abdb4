import logging
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from conftest import verify
from two_factor.history import Event
from two_factor.mixins import VERIFIED
from two_factor.models import TwoFactor
from two_factor.recovery import RecoveryCode

from .pages import page

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.fixture
def run(capsys):
    """Run a command about ``ada``, and return what it wrote."""

    def run(command, username="ada"):
        call_command(command, username)
        return capsys.readouterr().out

    return run


@pytest.mark.parametrize("command", ["two_factor_status", "two_factor_reset"])
@pytest.mark.parametrize("username", ["grace", "", "Ada", "+12025550123"])
def test_a_user_nobody_knows_is_said(run, two_factor, command, username):
    with pytest.raises(CommandError, match="There is no user called"):
        run(command, username)
    assert TwoFactor.objects.get().number == "+12025550123"


@pytest.mark.parametrize("command", ["two_factor_status", "two_factor_reset"])
def test_a_user_must_be_named(command):
    with pytest.raises(CommandError, match="username"):
        call_command(command)


@pytest.mark.parametrize("command", ["two_factor_status", "two_factor_reset"])
def test_no_command_writes_the_number(run, two_factor, command, caplog):
    caplog.set_level(logging.DEBUG)
    written = run(command) + caplog.text
    assert "ada has" in written
    assert "0123" not in written
    assert "555" not in written


# two_factor_status


def test_the_status_names_the_end_of_the_number_and_since_when(run, two_factor):
    status = run("two_factor_status")
    assert "ada has the number •••• ••23, proven 2026-01-01 00:00 UTC.\n" in status


def test_the_status_of_a_user_who_never_came_so_far(run, user):
    assert run("two_factor_status") == "ada has no proven number.\nRecovery codes left: 0.\n"
    assert not TwoFactor.objects.exists()


def test_the_status_of_a_user_whose_code_is_under_way(run, awaiting_code):
    assert "ada has no proven number.\n" in run("two_factor_status")


def test_the_status_counts_the_recovery_codes_left(run, two_factor, user):
    codes = RecoveryCode.objects.renew(user)
    RecoveryCode.objects.use(user, codes[0])
    assert "Recovery codes left: 9.\n" in run("two_factor_status")


def test_the_status_tells_a_lock_while_it_lasts(run, two_factor, clock):
    two_factor.row().update(locked_until=NOON + timedelta(minutes=10))
    assert "Locked until 2026-06-01 12:10:00 UTC.\n" in run("two_factor_status")
    clock.shift(600)
    assert "Locked" not in run("two_factor_status")


def test_the_status_changes_nothing(run, two_factor):
    before = TwoFactor.objects.values().get()
    run("two_factor_status")
    assert TwoFactor.objects.values().get() == before
    assert not Event.objects.exists()


# two_factor_reset


def test_a_reset_takes_phone_and_recovery_codes(run, two_factor, user):
    RecoveryCode.objects.renew(user)
    assert run("two_factor_reset") == "ada has no phone any more and proves one anew.\n"
    assert TwoFactor.objects.get().number is None
    assert not RecoveryCode.objects.exists()


def test_a_reset_ends_verified_sessions(run, verified):
    address = reverse("two_factor:recovery_codes")
    assert verified.get(address).status_code == 200
    run("two_factor_reset")
    assert verified.get(address)["Location"].startswith("/2fa/?next=")


def test_a_reset_voids_the_code_under_way(run, awaiting_code, vonage):
    run("two_factor_reset")
    awaiting_code.post(reverse("two_factor:confirm"), {"code": "482913"})
    assert VERIFIED not in awaiting_code.session
    assert vonage.calls == []


def test_a_reset_is_recorded_and_mailed(run, two_factor, user, mailoutbox):
    user.email = "ada@example.com"
    user.save()
    run("two_factor_reset")
    assert [(event.kind, event.user) for event in Event.objects.all()] == [("reset", user)]
    assert [mail.to for mail in mailoutbox] == [["ada@example.com"]]


def test_a_reset_leaves_others_alone(run, two_factor, code_of_another_user):
    verification = code_of_another_user()
    run("two_factor_reset")
    verification.refresh_from_db()


def test_a_reset_of_who_never_had_a_phone_does_no_harm(run, user):
    run("two_factor_reset")
    assert TwoFactor.objects.get().number is None


def test_a_superuser_who_is_locked_out_comes_back_with_another_phone(run, user, vonage):
    user.is_staff = user.is_superuser = True
    user.save()
    two_factor = TwoFactor.objects.create(
        user=user, number="+12025550123", failures=10, locked_until=NOON + timedelta(days=1)
    )
    browser = Client()
    browser.force_login(user)
    verify(browser, two_factor)
    run("two_factor_reset")
    browser.post(reverse("two_factor:create"), {"number": "+12025550188"})
    browser.post(reverse("two_factor:confirm"), {"code": "482913"})
    assert browser.get(reverse("admin:index")).status_code == 200
    assert TwoFactor.objects.get().number == "+12025550188"


# recovery_codes


@pytest.fixture
def staff(user):
    user.is_staff = user.is_superuser = True
    user.save()
    return user


def test_it_prints_ten_new_codes(run, two_factor, user):
    old = RecoveryCode.objects.renew(user)[0]
    codes = run("recovery_codes").split()
    assert len(codes) == 10
    assert RecoveryCode.objects.use(user, codes[0])
    assert not RecoveryCode.objects.use(user, old)
    assert Event.objects.get().kind == Event.Kind.RECOVERY_CODES


def test_it_makes_none_that_would_open_nothing(run, user):
    with pytest.raises(CommandError, match="no verified number and is not staff"):
        run("recovery_codes")
    assert not RecoveryCode.objects.exists()


ADMIN = "/admin/"


def test_a_code_lets_staff_without_a_number_in_for_an_hour(run, staff, signed_in, clock):
    codes = run("recovery_codes").split()
    assert signed_in.get(ADMIN).status_code == 302
    page_url = signed_in.get(ADMIN, follow=True).redirect_chain[-1][0]
    assert "python manage.py recovery_codes" in page(signed_in.get(page_url))
    answer = signed_in.post(reverse("two_factor:recover"), {"code": codes[3], "next": ADMIN})
    assert answer["Location"] == ADMIN
    assert signed_in.get(ADMIN).status_code == 200
    clock.shift(3599)
    assert signed_in.get(ADMIN).status_code == 200
    clock.shift(1)
    assert signed_in.get(ADMIN).status_code == 302


def test_it_opens_the_administration_alone(run, staff, signed_in):
    code = run("recovery_codes").split()[0]
    signed_in.post(reverse("two_factor:recover"), {"code": code})
    for name in ("polls:new", "two_factor:change", "two_factor:recovery_codes"):
        assert signed_in.get(reverse(name))["Location"].startswith("/2fa/?next=")


def test_it_opens_no_other_browser_and_ends_with_a_reset(run, staff, signed_in):
    code = run("recovery_codes").split()[0]
    signed_in.post(reverse("two_factor:recover"), {"code": code, "next": ADMIN})
    other = Client()
    other.force_login(staff)
    assert other.get(ADMIN).status_code == 302
    run("two_factor_reset")
    assert signed_in.get(ADMIN).status_code == 302


def test_who_is_not_staff_any_more_stays_out(run, staff, signed_in):
    code = run("recovery_codes").split()[0]
    signed_in.post(reverse("two_factor:recover"), {"code": code, "next": ADMIN})
    type(staff).objects.update(is_staff=False, is_superuser=False)
    assert signed_in.get(ADMIN).status_code in {302, 403}


def test_without_a_number_and_codes_the_way_to_recover_asks_for_no_number(signed_in, user):
    response = signed_in.get(reverse("two_factor:recover"), follow=True)
    assert "You have no recovery codes yet." in page(response)
    assert "Type a number" not in page(response)


def test_while_paused_the_number_can_be_stood_in_for(signed_in, two_factor, run):
    code = run("recovery_codes").split()[0]
    assert reverse("two_factor:recover") in page(signed_in.get(reverse("two_factor:phone")))
    answer = signed_in.post(reverse("two_factor:recover"), {"code": code, "next": "/account/"})
    assert answer["Location"] == "/account/"


def test_a_paused_site_tells_staff_what_to_set_and_voters_to_come_back(signed_in, user):
    url = reverse("two_factor:phone")
    told = page(signed_in.get(url))
    assert "Voting is paused" in told
    assert "VONAGE" not in told
    type(user).objects.update(is_staff=True)
    told = page(signed_in.get(url))
    assert "VONAGE_API_KEY" in told
    assert "come back later to vote" not in told


@pytest.mark.parametrize(("is_staff", "sends"), [(True, 1), (False, 0)])
def test_the_regions_bind_voters_and_not_staff(signed_in, user, vonage, settings, is_staff, sends):
    settings.VERIFY_REGIONS = ["US"]
    type(user).objects.update(is_staff=is_staff)
    signed_in.post(reverse("two_factor:create"), {"number": "+49 1512 3456789"})
    assert len(vonage.calls) == sends
