from datetime import UTC, datetime
from uuid import UUID

import pytest
import responses
from vonage_verify import SmsChannel, VerifyRequest, VoiceChannel

from two_factor import client
from two_factor.client import ProviderError, calling_vonage
from two_factor.models import SandboxRequest
from two_factor.sandbox import code_under_way

from .parallel import in_parallel

pytestmark = pytest.mark.django_db
NUMBER, OTHER_NUMBER = "12025550123", "12025550124"
UNKNOWN = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(autouse=True)
def clock(sandbox, settings, time_machine):
    settings.VERIFY_CALLS_AT_ONCE = 16
    time_machine.move_to(datetime(2026, 6, 1, 12, tzinfo=UTC), tick=False)
    return time_machine


def start(to=NUMBER, channels=(SmsChannel, VoiceChannel), brand="Pollstr", **options) -> str:
    workflow = [channel(to=to) for channel in channels]
    request = VerifyRequest(brand=brand, workflow=workflow, **options)
    with calling_vonage("start") as verify:
        return verify.start_verification(request).request_id


def check(request_id, code) -> str:
    with calling_vonage("check") as verify:
        return verify.check_code(request_id, code).status


def cancel(request_id):
    with calling_vonage("cancel") as verify:
        verify.cancel_verification(request_id)


def next_step(request_id):
    with calling_vonage("next_workflow") as verify:
        verify.trigger_next_workflow(request_id)


def refusal_of(call, *args, **kwargs) -> int:
    with pytest.raises(ProviderError) as caught:
        call(*args, **kwargs)
    return caught.value.status


def wrong_code(request_id) -> str:
    return "0000" if code_under_way(request_id) != "0000" else "1111"


def test_a_start_is_answered_with_a_uuid():
    assert UUID(start()).version == 4


def test_the_right_code_completes_the_request():
    request_id = start()
    assert check(request_id, code_under_way(request_id)) == "completed"


def test_the_third_wrong_code_ends_the_request():
    request_id = start()
    wrong = wrong_code(request_id)
    assert [refusal_of(check, request_id, wrong) for _ in range(4)] == [400, 400, 410, 404]


def test_the_right_code_counts_after_two_wrong_ones():
    request_id = start()
    for _ in range(2):
        refusal_of(check, request_id, wrong_code(request_id))
    assert check(request_id, code_under_way(request_id)) == "completed"


def test_a_code_in_other_letters_is_merely_wrong():
    request_id = start()
    assert refusal_of(check, request_id, "١٢٣٤") == 400


@pytest.mark.parametrize("request_id", [UNKNOWN, "no-uuid"])
def test_an_unknown_request_is_not_found(request_id):
    assert refusal_of(check, request_id, "1234") == 404
    assert refusal_of(next_step, request_id) == 404
    assert refusal_of(cancel, request_id) == 404


def test_a_verified_request_is_not_found():
    request_id = start()
    code = code_under_way(request_id)
    check(request_id, code)
    assert refusal_of(check, request_id, code) == 404
    assert refusal_of(next_step, request_id) == 404


def test_a_cancelled_request_is_not_found(clock):
    request_id = start()
    code = code_under_way(request_id)
    clock.shift(30)
    cancel(request_id)
    assert refusal_of(check, request_id, code) == 404
    assert refusal_of(cancel, request_id) == 404


def test_a_second_start_to_a_number_is_refused_with_the_first_ones_id():
    request_id = start()
    with pytest.raises(ProviderError) as caught:
        start()
    assert (caught.value.status, caught.value.request_id) == (409, UUID(request_id))


def test_a_refused_start_leaves_the_code_under_way_as_it_is():
    request_id = start()
    code = code_under_way(request_id)
    refusal_of(start)
    assert check(request_id, code) == "completed"


def test_another_number_may_be_verified_meanwhile():
    assert start(NUMBER) != start(OTHER_NUMBER)


def test_a_number_may_start_again_once_verified():
    request_id = start()
    check(request_id, code_under_way(request_id))
    assert start() != request_id


def test_a_number_may_start_again_once_void():
    request_id = start()
    for _ in range(3):
        refusal_of(check, request_id, wrong_code(request_id))
    assert start() != request_id


def test_a_number_may_start_again_once_expired(clock):
    request_id = start()
    clock.shift(2 * 180)
    assert start() != request_id
    assert refusal_of(check, request_id, "1234") == 404


def test_a_number_may_start_again_once_cancelled(clock):
    request_id = start()
    clock.shift(30)
    cancel(request_id)
    assert start() != request_id


def test_cancelling_is_refused_in_the_first_30_seconds(clock):
    request_id = start()
    clock.shift(29)
    assert refusal_of(cancel, request_id) == 404
    assert code_under_way(request_id) != ""


def test_cancelling_is_refused_once_the_second_step_was_asked_for(clock):
    request_id = start()
    clock.shift(40)
    next_step(request_id)
    assert refusal_of(cancel, request_id) == 404


def test_cancelling_is_refused_once_the_second_step_began_by_itself(clock):
    request_id = start()
    clock.shift(180)
    assert refusal_of(cancel, request_id) == 404


def test_the_next_step_has_a_code_of_its_own_and_voids_the_first():
    request_id = start(code_length=10)
    first = code_under_way(request_id)
    next_step(request_id)
    assert refusal_of(check, request_id, first) == 400
    assert check(request_id, code_under_way(request_id)) == "completed"


def test_there_is_no_step_after_the_last():
    request_id = start()
    next_step(request_id)
    assert refusal_of(next_step, request_id) == 409


def test_a_step_lasts_until_its_timeout(clock):
    request_id = start(channel_timeout=60, code_length=10)
    code = code_under_way(request_id)
    clock.shift(59)
    assert check(request_id, code) == "completed"


def test_the_next_step_begins_by_itself_after_the_timeout(clock):
    request_id = start(channel_timeout=60, code_length=10)
    first = code_under_way(request_id)
    clock.shift(60)
    assert refusal_of(check, request_id, first) == 400
    assert check(request_id, code_under_way(request_id)) == "completed"


def test_a_step_taken_early_lasts_its_whole_timeout(clock):
    request_id = start(channel_timeout=60)
    clock.shift(30)
    next_step(request_id)
    clock.shift(59)
    assert check(request_id, code_under_way(request_id)) == "completed"


def test_a_timeout_is_three_minutes_unless_told(clock):
    request_id = start(channels=[SmsChannel])
    clock.shift(179)
    assert code_under_way(request_id) != ""
    clock.shift(1)
    assert code_under_way(request_id) == ""


def test_after_the_last_step_the_request_is_expired(clock):
    request_id = start(channel_timeout=60, code_length=10)
    clock.shift(119)
    last = code_under_way(request_id)
    clock.shift(1)
    assert refusal_of(check, request_id, last) == 404
    assert refusal_of(next_step, request_id) == 404


def test_each_step_sends_by_its_own_channel(caplog):
    request_id = start()
    next_step(request_id)
    assert [" by sms is " in line for line in caplog.messages] == [True, False]
    assert " by voice is " in caplog.messages[1]


@pytest.mark.parametrize("length", [4, 6, 10])
def test_codes_are_as_long_as_asked_for(length):
    code = code_under_way(start(code_length=length))
    assert len(code) == length
    assert code.isdecimal()


def test_codes_have_four_digits_unless_told():
    assert len(code_under_way(start())) == 4


@pytest.mark.parametrize("character", "\\/{}:$")
def test_a_brand_with_a_forbidden_character_is_refused(character):
    assert refusal_of(start, brand=f"Poll{character}str") == 422


def test_a_workflow_has_one_to_three_steps():
    assert refusal_of(start, channels=[SmsChannel] * 4) == 422
    assert refusal_of(start, channels=[]) == 422
    assert start(channels=[SmsChannel] * 3)


def test_the_code_is_written_to_the_log(caplog):
    request_id = start()
    assert f"+{NUMBER} by sms is {code_under_way(request_id)}" in caplog.text


def test_a_new_process_knows_the_request():
    request_id = start()
    client.sandbox_client.cache_clear()
    assert check(request_id, code_under_way(request_id)) == "completed"


@pytest.mark.django_db(transaction=True)
def test_all_threads_know_the_request():
    [request_id] = in_parallel(1, start)
    assert check(request_id, code_under_way(request_id)) == "completed"


@pytest.mark.django_db(transaction=True)
def test_of_simultaneous_starts_to_one_number_one_succeeds():
    results = in_parallel(8, start)
    request_ids = [result for result in results if isinstance(result, str)]
    assert len(request_ids) == 1
    assert {error.request_id for error in set(results) - set(request_ids)} == {UUID(request_ids[0])}


@pytest.mark.django_db(transaction=True)
def test_of_simultaneous_starts_after_an_expired_one_one_succeeds(clock):
    expired = start()
    clock.shift(2 * 180)
    results = in_parallel(8, start)
    [request_id] = [result for result in results if isinstance(result, str)]
    assert request_id != expired
    assert [error.status for error in results if error != request_id] == [409] * 7


@pytest.mark.django_db(transaction=True)
def test_of_simultaneous_wrong_codes_three_are_judged():
    request_id = start()
    wrong = wrong_code(request_id)
    statuses = [error.status for error in in_parallel(8, lambda: check(request_id, wrong))]
    assert sorted(statuses) == [400, 400, 404, 404, 404, 404, 404, 410]


@responses.activate
def test_it_never_answers_without_debug(settings):
    settings.DEBUG = False
    responses.post("https://api.nexmo.com/v2/verify", status=401)
    assert refusal_of(start) == 401
    assert not SandboxRequest.objects.exists()


@responses.activate
def test_it_never_answers_where_there_are_credentials(settings):
    settings.VONAGE_API_KEY, settings.VONAGE_API_SECRET = "abcd1234", "shared-secret"
    responses.post("https://api.nexmo.com/v2/verify", status=401)
    assert refusal_of(start) == 401
