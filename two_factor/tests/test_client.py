import logging
from base64 import b64encode
from http.client import RemoteDisconnected
from time import monotonic
from uuid import UUID, uuid4

import jwt
import pytest
import requests
import responses
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from urllib3.exceptions import ProtocolError
from vonage_verify import SmsChannel, VerifyRequest

from two_factor.client import ProviderError, calling_vonage, has_credentials, is_paused

pytest_plugins = ["two_factor.tests.fake_vonage"]

URL = "https://api.nexmo.com/v2/verify"
NUMBER = "12025550123"
REQUEST_ID = "c11236f4-00bf-4b89-84ba-88b25df97315"
CHECK_URL = f"{URL}/{REQUEST_ID}"
PROBLEM = {"type": "about:blank", "title": "Refused", "detail": "Because.", "instance": "bf0c"}


@pytest.fixture(autouse=True)
def credentials(settings):
    settings.VONAGE_API_KEY, settings.VONAGE_API_SECRET = "abcd1234", "shared-secret"


@pytest.fixture
def wire():
    """Stand between the SDK and the network."""
    with responses.RequestsMock(assert_all_requests_are_fired=False) as wire:
        yield wire


@pytest.fixture
def accepting(wire):
    wire.post(URL, status=202, json={"request_id": REQUEST_ID})
    return wire


@pytest.fixture(scope="session")
def private_key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def application(settings, private_key):
    settings.VONAGE_APPLICATION_ID = str(uuid4())
    settings.VONAGE_PRIVATE_KEY = private_key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    return settings.VONAGE_APPLICATION_ID


def start():
    with calling_vonage("start") as verify:
        workflow = [SmsChannel(to=NUMBER)]
        return verify.start_verification(VerifyRequest(brand="Pollstr", workflow=workflow))


def check(code="482913"):
    with calling_vonage("check") as verify:
        return verify.check_code(REQUEST_ID, code)


def cancel():
    with calling_vonage("cancel") as verify:
        verify.cancel_verification(REQUEST_ID)


def next_step():
    with calling_vonage("next_workflow") as verify:
        verify.trigger_next_workflow(REQUEST_ID)


def failure_of(call) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        call()
    return caught.value


def disconnected():
    cause = RemoteDisconnected("Remote end closed connection without response")
    return requests.ConnectionError(ProtocolError("Connection aborted.", cause))


def claims_of(request, private_key):
    scheme, token = request.headers["Authorization"].split()
    assert scheme == b"Bearer"
    return jwt.decode(token, private_key.public_key(), algorithms=["RS256"])


def test_a_key_and_secret_go_out_as_basic_authorization(accepting):
    assert start().request_id == REQUEST_ID
    expected = b64encode(b"abcd1234:shared-secret").decode()
    assert accepting.calls[0].request.headers["Authorization"] == f"Basic {expected}"


def test_an_application_signs_a_token(accepting, application, private_key):
    start()
    claims = claims_of(accepting.calls[0].request, private_key)
    assert claims["application_id"] == application


def test_half_an_application_leaves_key_and_secret_in_use(accepting, settings):
    settings.VONAGE_APPLICATION_ID = "3f2a"
    start()
    assert accepting.calls[0].request.headers["Authorization"].startswith("Basic ")


def test_an_application_needs_no_key_and_secret(accepting, application, settings):
    settings.VONAGE_API_KEY = settings.VONAGE_API_SECRET = ""
    assert start().request_id == REQUEST_ID


def test_a_private_key_may_be_written_on_one_line(accepting, application, private_key, settings):
    settings.VONAGE_PRIVATE_KEY = settings.VONAGE_PRIVATE_KEY.replace("\n", "\\n")
    start()
    assert claims_of(accepting.calls[0].request, private_key)["application_id"] == application


@pytest.mark.parametrize(
    "private_key_text",
    [
        "",
        "nonsense",
        "missing.pem",
        "-----BEGIN PRIVATE KEY-----\nnonsense\n-----END PRIVATE KEY-----",
    ],
)
def test_a_private_key_that_is_none_is_our_trouble(application, settings, private_key_text):
    settings.VONAGE_PRIVATE_KEY = private_key_text
    assert failure_of(start).status is None


def test_changed_credentials_are_used_at_once(accepting, settings):
    start()
    settings.VONAGE_API_SECRET = "another-secret"
    start()
    first, second = [call.request.headers["Authorization"] for call in accepting.calls]
    assert first != second


def test_the_client_is_kept_between_calls():
    with calling_vonage("start") as first, calling_vonage("check") as second:
        assert first is second


def test_the_api_may_be_at_another_host_and_port(wire, settings):
    settings.VONAGE_API_HOST = "vonage.test:8443"
    wire.post("https://vonage.test:8443/v2/verify", status=202, json={"request_id": REQUEST_ID})
    assert start().request_id == REQUEST_ID


def test_each_call_has_a_timeout(accepting, settings):
    settings.VONAGE_TIMEOUT = 3
    start()
    assert accepting.calls[0].request.req_kwargs["timeout"].total == 3


@pytest.mark.parametrize(
    "failure", [disconnected(), requests.ReadTimeout(), requests.ConnectTimeout()]
)
@pytest.mark.parametrize(
    ("call", "method", "url"),
    [
        (start, "POST", URL),
        (check, "POST", CHECK_URL),
        (next_step, "POST", f"{CHECK_URL}/next_workflow"),
        (cancel, "DELETE", CHECK_URL),
    ],
)
def test_a_call_that_fails_is_made_only_once(wire, failure, call, method, url):
    wire.add(method, url, body=failure)
    assert failure_of(call).status is None
    assert len(wire.calls) == 1


def test_a_netrc_file_does_not_replace_our_credentials(accepting, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("default login mallory password secret")
    monkeypatch.setenv("NETRC", str(netrc))
    start()
    expected = b64encode(b"abcd1234:shared-secret").decode()
    assert accepting.calls[0].request.headers["Authorization"] == f"Basic {expected}"


STATUSES = [400, 401, 402, 403, 404, 409, 410, 412, 418, 422, 429, 500, 502, 503, 504]


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("body", ['{"title": "Refused"}', "<html>Refused</html>", ""])
def test_a_refusal_is_told_by_its_status(wire, status, body):
    wire.post(CHECK_URL, status=status, body=body)
    assert failure_of(check).status == status


@pytest.mark.parametrize("call", [next_step, cancel])
def test_other_calls_are_told_the_status_too(wire, call):
    wire.post(f"{CHECK_URL}/next_workflow", status=409, json=PROBLEM)
    wire.delete(CHECK_URL, status=409, json=PROBLEM)
    assert failure_of(call).status == 409


def test_a_redirect_to_nowhere_is_told_by_its_status(wire):
    wire.post(URL, status=302)
    assert failure_of(start).status == 302


def test_a_redirect_is_not_followed_with_number_or_code(wire):
    elsewhere = wire.post("https://elsewhere.example/", json={"request_id": REQUEST_ID})
    wire.post(URL, status=307, headers={"Location": "https://elsewhere.example/"})
    assert failure_of(start).status is None
    assert elsewhere.call_count == 0


@pytest.mark.parametrize(
    "failure",
    [
        requests.ReadTimeout(),
        requests.ConnectionError(),
        requests.exceptions.ChunkedEncodingError(),
        requests.exceptions.ContentDecodingError(),
        requests.exceptions.SSLError(),
        requests.exceptions.ProxyError(),
        requests.TooManyRedirects(),
        OSError("Could not find a suitable TLS CA certificate bundle"),
    ],
    ids=lambda failure: type(failure).__name__,
)
def test_a_failure_on_the_wire_has_no_status(wire, failure):
    wire.post(URL, body=failure)
    assert failure_of(start).status is None


@pytest.mark.parametrize(
    "body", ["<html>Welcome</html>", "", "null", "[]", '"yes"', '{"unexpected": true}']
)
@pytest.mark.parametrize(("call", "url"), [(start, URL), (check, CHECK_URL)])
def test_an_answer_that_cannot_be_read_has_no_status(wire, call, url, body):
    wire.post(url, status=200, body=body)
    assert failure_of(call).status is None


def test_a_number_the_sdk_does_not_take_has_no_status(wire):
    def start_badly():
        with calling_vonage("start"):
            SmsChannel(to="+1 202 555 0123")

    assert failure_of(start_badly).status is None


def test_a_missing_certificate_file_has_no_status(monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/missing.pem")
    assert failure_of(start).status is None


def test_a_fault_of_our_own_is_not_hidden():
    with pytest.raises(ZeroDivisionError), calling_vonage("start"):
        _ = 1 / 0


def test_a_409_names_the_request_in_the_way(wire):
    wire.post(URL, status=409, json=PROBLEM | {"request_id": REQUEST_ID})
    assert failure_of(start).request_id == UUID(REQUEST_ID)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<html></html>",
        "null",
        "[]",
        '["request_id"]',
        "{}",
        '{"request_id": null}',
        '{"request_id": 7}',
        '{"request_id": {}}',
        '{"request_id": "../"}',
        "[" * 100_000,
    ],
)
def test_a_409_with_a_strange_body_names_none(wire, body):
    wire.post(URL, status=409, body=body)
    assert failure_of(start).request_id is None


@pytest.mark.parametrize(("status", "is_refusal"), [(400, True), (429, True), (500, False)])
def test_only_a_refusal_says_that_nothing_happened(wire, status, is_refusal):
    wire.post(CHECK_URL, status=status, json=PROBLEM)
    assert failure_of(check).is_refusal is is_refusal


def test_no_answer_is_no_refusal(wire):
    wire.post(CHECK_URL, body=requests.ReadTimeout())
    assert failure_of(check).is_refusal is False


@pytest.mark.parametrize("answer", [{"status": 401}, {"body": requests.ReadTimeout()}])
def test_the_sdks_exception_with_our_credentials_goes_no_further(wire, answer):
    wire.post(CHECK_URL, **answer)
    failure = failure_of(check)
    assert failure.__cause__ is None
    assert failure.__context__ is None


@pytest.mark.parametrize("status", [200, 400, 401, 404, 409, 410, 422, 429, 500, 503])
def test_the_log_holds_no_number_code_credential_or_request_id(wire, caplog, status):
    caplog.set_level(logging.DEBUG)
    body = PROBLEM | {"request_id": REQUEST_ID, "status": "completed"}
    wire.post(URL, status=status, json=body)
    wire.post(CHECK_URL, status=status, json=body)
    wire.post(f"{CHECK_URL}/next_workflow", status=status, json=body)
    wire.delete(CHECK_URL, status=status, json=body)
    failures = [failure_of(call) for call in (start, check, next_step, cancel) if status >= 400]
    if not failures:
        start(), check(), next_step(), cancel()
    assert len(wire.calls) == 4
    assert_nothing_leaked(caplog.text + repr(failures))


def test_the_log_of_a_call_without_answer_holds_none_of_them_either(wire, caplog):
    caplog.set_level(logging.DEBUG)
    wire.post(CHECK_URL, body=requests.ConnectionError(f"{CHECK_URL} 482913 shared-secret"))
    failure = failure_of(check)
    assert_nothing_leaked(caplog.text + repr(failure))


def assert_nothing_leaked(text):
    basic = b64encode(b"abcd1234:shared-secret").decode()
    for secret in (NUMBER, "482913", "shared-secret", basic, REQUEST_ID):
        assert secret not in text


@pytest.mark.parametrize(
    ("status", "level"), [(400, "WARNING"), (401, "ERROR"), (402, "ERROR"), (403, "ERROR")]
)
def test_what_the_owner_must_mend_is_logged_as_an_error(wire, caplog, status, level):
    wire.post(CHECK_URL, status=status, json=PROBLEM)
    failure_of(check)
    assert [record.levelname for record in caplog.records] == [level]
    assert caplog.messages == [f"Vonage Verify answered {status} to check"]


@pytest.mark.parametrize(
    "missing", ["VONAGE_API_KEY", "VONAGE_API_SECRET"], ids=["no key", "no secret"]
)
def test_without_credentials_voting_is_paused(settings, missing):
    assert not is_paused()
    setattr(settings, missing, "")
    assert not has_credentials()
    assert is_paused()


@pytest.mark.parametrize(("call", "method"), [(start, "POST"), (cancel, "DELETE")])
def test_on_a_real_wire_a_call_that_is_dropped_is_made_only_once(fake_vonage, call, method):
    fake_vonage.handler = fake_vonage.drop
    assert failure_of(call).status is None
    assert [request.method for request in fake_vonage.requests] == [method]


def test_on_a_real_wire_a_call_is_given_up_after_the_timeout(fake_vonage, settings):
    settings.VONAGE_TIMEOUT = 1
    fake_vonage.handler = fake_vonage.hang
    began = monotonic()
    assert failure_of(start).status is None
    assert 1 <= monotonic() - began < 10


def test_on_a_real_wire_the_certificate_is_checked(fake_vonage, monkeypatch):
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    assert failure_of(start).status is None
    assert fake_vonage.requests == []


def test_on_a_real_wire_a_connection_serves_many_calls(fake_vonage):
    for _ in range(3):
        start()
    clients = {request.client for request in fake_vonage.requests}
    assert len(fake_vonage.requests) == 3
    assert len(clients) == 1
