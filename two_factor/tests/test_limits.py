from datetime import UTC, datetime

import pytest
from django.db import connection

from two_factor.models import Limit, Limited, TooEarly, TwoFactor

from .factories import TwoFactorFactory
from .parallel import in_parallel

pytestmark = pytest.mark.django_db
NUMBER, ADDRESS = "+12025550123", "192.0.2.1"
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
LIMITS = {
    "VERIFY_SENDS_PER_USER": 3600,
    "VERIFY_SENDS_PER_NUMBER": 3600,
    "VERIFY_SENDS_PER_IP": 3600,
    "VERIFY_SENDS_PER_PREFIX": 3600,
    "VERIFY_SENDS_PER_DAY": 12 * 3600,
}


@pytest.fixture(autouse=True)
def clock(time_machine):
    time_machine.move_to(NOON, tick=False)
    return time_machine


@pytest.fixture
def no_waits(settings):
    settings.VERIFY_RESEND_WAITS = [0]


@pytest.fixture
def two_factor(user):
    """A user without a verified number."""
    return TwoFactorFactory(user=user, number=None)


def send(two_factor, number=NUMBER, address=ADDRESS):
    two_factor.count_send(number, address)


def refusal_of(call, *args) -> Limited:
    with pytest.raises(Limited) as caught:
        call(*args)
    return caught.value


def waits_of(two_factor, clock, sends) -> list[int]:
    """Send as often as may be, and return the wait after each."""
    waits = []
    for _ in range(sends):
        send(two_factor)
        waits.append(two_factor.seconds_to_next_send)
        clock.shift(waits[-1])
    return waits


def use_up(two_factor):
    for _ in range(10):
        two_factor.count_guess()


# Waits


def test_waits_grow_and_the_last_one_repeats(two_factor, clock, settings):
    settings.VERIFY_RESEND_WAITS = [30, 60, 180]
    settings.VERIFY_SENDS_PER_USER = 9
    settings.VERIFY_SENDS_PER_NUMBER = 9
    assert waits_of(two_factor, clock, 5) == [30, 60, 180, 180, 180]


def test_a_send_before_the_wait_is_over_is_refused(two_factor, clock):
    send(two_factor)
    clock.shift(29)
    assert refusal_of(send, two_factor).retry_after == 1
    clock.shift(1)
    send(two_factor)


def test_a_wait_counts_for_all_numbers_and_addresses(two_factor):
    send(two_factor)
    assert refusal_of(send, two_factor, "+447400123456", "192.0.2.2").retry_after == 30


def test_a_wait_is_a_users_own(two_factor):
    send(two_factor)
    send(TwoFactorFactory())
    assert two_factor.seconds_to_next_send == 30


def test_a_refused_send_does_not_lengthen_the_wait(two_factor, clock):
    send(two_factor)
    for _ in range(3):
        refusal_of(send, two_factor)
    clock.shift(30)
    send(two_factor)
    assert two_factor.seconds_to_next_send == 60


def test_a_single_wait_of_nothing_never_makes_wait(two_factor, clock, no_waits):
    assert waits_of(two_factor, clock, 3) == [0, 0, 0]


def test_waits_begin_anew_after_a_quiet_day(two_factor, clock):
    assert waits_of(two_factor, clock, 2) == [30, 60]
    clock.shift(86400)
    assert waits_of(two_factor, clock, 1) == [30]


def test_waits_begin_anew_once_the_number_is_proven(two_factor, clock):
    assert waits_of(two_factor, clock, 2) == [30, 60]
    two_factor.prove(NUMBER)
    assert waits_of(two_factor, clock, 1) == [30]


# Limits


@pytest.mark.parametrize(("limit", "window"), LIMITS.items())
def test_each_limit_refuses_until_its_window_ends(
    two_factor, clock, no_waits, settings, limit, window
):
    setattr(settings, limit, 2)
    for _ in range(2):
        send(two_factor)
    clock.shift(600)
    assert refusal_of(send, two_factor).retry_after == window - 600
    clock.shift(window - 600)
    send(two_factor)


def test_the_time_to_try_again_holds_with_waits_too(two_factor, clock, settings):
    settings.VERIFY_RESEND_WAITS = [60, 600]
    settings.VERIFY_SENDS_PER_NUMBER = 1
    clock.move_to(NOON.replace(minute=58), tick=False)
    send(two_factor)
    clock.shift(90)
    clock.shift(refusal_of(send, two_factor).retry_after)
    send(two_factor)


def test_a_refused_send_counts_against_nobody(two_factor, no_waits, settings):
    settings.VERIFY_SENDS_PER_NUMBER = 1
    send(two_factor)
    before = list(Limit.objects.values_list("key", "count").order_by("key"))
    refusal_of(send, two_factor)
    assert list(Limit.objects.values_list("key", "count").order_by("key")) == before
    assert TwoFactor.objects.get().sends == 1


@pytest.mark.parametrize(
    ("limit", "number", "address"),
    [
        ("VERIFY_SENDS_PER_NUMBER", "+12025550124", ADDRESS),
        ("VERIFY_SENDS_PER_IP", NUMBER, "192.0.2.2"),
        ("VERIFY_SENDS_PER_PREFIX", "+12025560123", ADDRESS),
    ],
)
def test_a_limit_leaves_others_alone(two_factor, no_waits, settings, limit, number, address):
    setattr(settings, limit, 1)
    send(two_factor)
    send(two_factor, number, address)
    assert refusal_of(send, two_factor).reason == "Too many codes were asked for."


def test_a_users_limit_leaves_other_users_alone(two_factor, no_waits, settings):
    settings.VERIFY_SENDS_PER_USER = 1
    send(two_factor)
    send(TwoFactorFactory())
    refusal_of(send, two_factor)


def test_neighbouring_numbers_share_a_limit(two_factor, no_waits, settings):
    settings.VERIFY_SENDS_PER_PREFIX = 1
    send(two_factor, "+12025550123")
    assert refusal_of(send, two_factor, "+12025559999").retry_after == 3600


def test_a_send_taken_back_counts_nowhere(two_factor):
    send(two_factor)
    two_factor.uncount_send(ADDRESS)
    counts = Limit.objects.order_by("count").values_list("count", flat=True)
    # The last two count what was taken back, by user and by address.
    assert list(counts) == [0, 0, 0, 0, 0, 1, 1]
    assert two_factor.seconds_to_next_send == 0


def test_the_wait_after_a_send_taken_back_is_the_first_again(two_factor, clock):
    send(two_factor)
    two_factor.uncount_send(ADDRESS)
    assert waits_of(two_factor, clock, 2) == [30, 60]


def test_neither_numbers_nor_addresses_stand_in_the_table(two_factor):
    send(two_factor)
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM two_factor_limit")
        rows = str(cursor.fetchall())
    assert Limit.objects.count() == 5
    assert not [value for value in (NUMBER[1:], NUMBER[1:-4], ADDRESS) if value in rows]


def test_a_key_cannot_be_made_without_ours(settings):
    key = Limit.objects.add("number", NUMBER, 3600).key
    settings.SECRET_KEY = "another"
    assert Limit.objects.add("number", NUMBER, 3600).key != key


@pytest.mark.django_db(transaction=True)
def test_of_simultaneous_sends_of_one_user_one_passes(two_factor):
    results = in_parallel(20, lambda: send(TwoFactor.objects.get()))
    assert results.count(None) == 1
    assert {type(result) for result in results} <= {type(None), Limited, TooEarly}


@pytest.mark.django_db(transaction=True)
def test_simultaneous_sends_stay_within_a_limit(two_factor, no_waits, settings):
    settings.VERIFY_SENDS_PER_NUMBER = 7
    settings.VERIFY_SENDS_PER_USER = 100
    results = in_parallel(20, lambda: send(TwoFactor.objects.get()))
    assert results.count(None) == 7
    assert {type(result) for result in results} <= {type(None), Limited, TooEarly}


def test_a_wait_of_a_clock_that_ran_ahead_ends_when_that_is_set_right(two_factor, clock):
    clock.shift(24 * 3600)
    send(two_factor)
    clock.shift(-24 * 3600)
    assert two_factor.seconds_to_next_send == 0
    send(two_factor)
    assert two_factor.seconds_to_next_send == 30


# Guesses


def test_ten_guesses_are_allowed_and_the_eleventh_is_locked_out(two_factor, clock):
    use_up(two_factor)
    clock.shift(60)
    assert refusal_of(two_factor.count_guess).retry_after == 600 - 60


def test_the_lock_ends(two_factor, clock):
    use_up(two_factor)
    clock.shift(600)
    use_up(two_factor)
    assert refusal_of(two_factor.count_guess).retry_after == 600


def test_a_lock_of_a_clock_that_ran_ahead_ends_when_that_is_set_right(two_factor, clock):
    clock.shift(3600)
    use_up(two_factor)
    clock.shift(-3600)
    use_up(two_factor)
    assert refusal_of(two_factor.count_guess).retry_after == 600


def test_a_lock_holds_where_another_machines_clock_is_a_little_behind(two_factor, clock):
    use_up(two_factor)
    clock.shift(-60)
    assert refusal_of(two_factor.count_guess).retry_after == 660


def test_guesses_during_the_lock_do_not_lengthen_it(two_factor, clock):
    use_up(two_factor)
    clock.shift(599)
    assert refusal_of(two_factor.count_guess).retry_after == 1
    clock.shift(1)
    two_factor.count_guess()


def test_most_guesses_and_the_lock_are_settings(two_factor, settings):
    settings.VERIFY_MAX_FAILURES, settings.VERIFY_LOCK_SECONDS = 1, 42
    two_factor.count_guess()
    assert refusal_of(two_factor.count_guess).retry_after == 42


def test_the_lock_of_a_lowered_most_ends_too(two_factor, clock, settings):
    for _ in range(5):
        two_factor.count_guess()
    settings.VERIFY_MAX_FAILURES = 3
    two_factor.count_guess()
    assert refusal_of(two_factor.count_guess).retry_after == 600
    clock.shift(600)
    two_factor.count_guess()


def test_of_two_guesses_at_once_one_locks(two_factor, clock, settings, monkeypatch):
    settings.VERIFY_MAX_FAILURES = 2
    first, second = TwoFactor.objects.get(), TwoFactor.objects.get()
    read_again = first.refresh_from_db

    def after_the_second_guess(**kwargs):
        clock.shift(0.001)
        second.count_guess()
        read_again(**kwargs)

    monkeypatch.setattr(first, "refresh_from_db", after_the_second_guess)
    first.count_guess()
    assert (first.has_locked, second.has_locked) == (False, True)


def test_a_lock_is_a_users_own(two_factor):
    use_up(two_factor)
    other = TwoFactorFactory()
    other.count_guess()
    assert other.failures == 1


def test_a_right_code_takes_all_guesses_back(two_factor):
    use_up(two_factor)
    two_factor.prove(NUMBER)
    use_up(two_factor)
    refusal_of(two_factor.count_guess)


def test_a_new_code_takes_no_guess_back(two_factor):
    use_up(two_factor)
    send(two_factor)
    refusal_of(two_factor.count_guess)


def test_a_guess_taken_back_may_be_made_again(two_factor):
    use_up(two_factor)
    two_factor.uncount_guess()
    two_factor.count_guess()
    refusal_of(two_factor.count_guess)


def test_no_more_guesses_are_taken_back_than_were_made(two_factor):
    two_factor.uncount_guess()
    assert TwoFactor.objects.get().failures == 0


@pytest.mark.django_db(transaction=True)
def test_of_simultaneous_guesses_ten_pass(two_factor):
    results = in_parallel(64, lambda: TwoFactor.objects.get().count_guess())
    assert results.count(None) == 10
    assert {type(result) for result in results} <= {type(None), Limited, TooEarly}


@pytest.mark.django_db(transaction=True)
def test_of_simultaneous_guesses_after_the_lock_ten_pass(two_factor, clock):
    use_up(two_factor)
    clock.shift(600)
    results = in_parallel(64, lambda: TwoFactor.objects.get().count_guess())
    assert results.count(None) == 10


def test_each_limit_has_its_name_and_nothing_that_it_was_counted_for(no_waits):
    send(TwoFactorFactory(number=None))
    names = {"user", "number", "address", "prefix", "site"}
    assert set(Limit.objects.values_list("name", flat=True)) == names
    rows = str(list(Limit.objects.values()))
    assert [secret for secret in (NUMBER, NUMBER[:-4], ADDRESS) if secret in rows] == []


def test_an_earlier_version_goes_on_counting(no_waits):
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO two_factor_limit (key, count, ends_at) VALUES ('k', 1, CURRENT_TIMESTAMP)"
        )
    assert Limit.objects.get(pk="k").name == ""
