import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from django.core.checks import Tags, run_checks

from pollstr.tests.production import COMPLETE, PRODUCTION, manage, run

APPLICATION_ID = "78d335fa-323d-0114-9c3d-d6f0d48968cf"
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def check(*arguments, env):
    return manage("check", "--deploy", *arguments, env=env)


def pem(key, encryption=NoEncryption()):  # noqa: B008
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption).decode()


def problems() -> list[str]:
    """Return what is wrong with the settings, with ids and without the advice to deploy."""
    return [f"{found.id} {found.msg}" for found in run_checks(tags=[Tags.security])]


def test_a_complete_production_has_no_warning():
    answer = check("--fail-level", "WARNING", env=COMPLETE)
    assert answer.returncode == 0, answer.stderr
    assert "no issues" in answer.stdout


@pytest.mark.parametrize("line_end", ["\n", "\\n"])
def test_a_vonage_application_is_as_good_as_a_key(line_end):
    key = pem(RSA_KEY).replace("\n", line_end)
    application = {"VONAGE_APPLICATION_ID": APPLICATION_ID, "VONAGE_PRIVATE_KEY": key}
    no_key = {"VONAGE_API_KEY": "", "VONAGE_API_SECRET": ""}
    answer = check("--fail-level", "WARNING", env=COMPLETE | no_key | application)
    assert answer.returncode == 0, answer.stderr


def test_without_credentials_the_site_may_start_but_is_told_what_is_missing():
    answer = check(env=PRODUCTION)
    assert answer.returncode == 0
    assert "VONAGE_API_KEY and VONAGE_API_SECRET are missing" in answer.stderr
    assert "voting is paused" in answer.stderr


def test_without_a_mail_server_the_site_is_told_so():
    answer = check(env=COMPLETE | {"EMAIL_URL": ""})
    assert answer.returncode == 0
    assert "EMAIL_URL is missing" in answer.stderr
    assert "VONAGE" not in answer.stderr


def test_half_a_key_is_an_error_naming_the_other_half():
    answer = check(env=COMPLETE | {"VONAGE_API_SECRET": ""})
    assert answer.returncode == 1
    assert "(pollstr.E001) VONAGE_API_SECRET is missing" in answer.stderr


def test_half_an_application_is_an_error_naming_the_other_half():
    answer = check(env=COMPLETE | {"VONAGE_PRIVATE_KEY": pem(RSA_KEY)})
    assert answer.returncode == 1
    assert "(pollstr.E001) VONAGE_APPLICATION_ID is missing" in answer.stderr


def test_half_a_credential_is_told_in_development_too():
    answer = manage("check", env=PRODUCTION | {"DEBUG": "True", "VONAGE_API_KEY": "key"})
    assert answer.returncode == 1
    assert "VONAGE_API_SECRET is missing" in answer.stderr


def test_the_settings_of_a_fresh_clone_have_no_problem():
    assert problems() == []


@pytest.mark.parametrize(
    "key",
    [
        "a-key",
        pem(RSA_KEY)[:-40],
        pem(RSA_KEY, BestAvailableEncryption(b"password")),
        pem(ec.generate_private_key(ec.SECP256R1())),
        RSA_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
    ],
    ids=["text", "cut off", "locked", "another kind", "public"],
)
def test_a_private_key_that_cannot_sign_is_an_error(settings, key):
    settings.VONAGE_APPLICATION_ID, settings.VONAGE_PRIVATE_KEY = APPLICATION_ID, key
    [problem] = problems()
    assert "pollstr.E002 VONAGE_PRIVATE_KEY is no RSA private key" in problem
    assert key not in problem


@pytest.mark.parametrize("host", ["https://api.nexmo.com", "api.nexmo.com/v2", "a host", "host:x"])
def test_a_host_that_is_none_is_an_error(settings, host):
    settings.VONAGE_API_HOST = host
    [problem] = problems()
    assert (
        problem
        == "pollstr.E008 VONAGE_API_HOST must be a host or host:port, such as api.nexmo.com."
    )


@pytest.mark.parametrize("host", ["api.nexmo.com", "127.0.0.1:8443", "[::1]:8443", "localhost"])
def test_a_host_may_have_a_port(settings, host):
    settings.VONAGE_API_HOST = host
    assert problems() == []


@pytest.mark.parametrize("brand", ["A name too long 1", *(f"Poll{sign}" for sign in "\\/{}:$")])
def test_a_brand_that_vonage_refuses_is_an_error(settings, brand):
    settings.VERIFY_BRAND = brand
    [problem] = problems()
    assert "pollstr.E003 VERIFY_BRAND has more than 16 characters, or one of" in problem


def test_a_brand_of_16_characters_is_none(settings):
    settings.VERIFY_BRAND = "Poll & Söhne-Ltd"
    assert problems() == []


@pytest.mark.parametrize(
    "region", ["XX", "us", " CA", "USA", "001", "UK", "**", "-", "-XX", "--JE", "-*"]
)
def test_a_region_that_is_no_country_is_an_error(settings, region):
    settings.VERIFY_REGIONS = ["US", region]
    assert problems() == [f"pollstr.E004 VERIFY_REGIONS names what is no country: {region}."]


@pytest.mark.parametrize("region", ["XX", "us", "+1", "*"])
def test_a_default_region_that_is_no_country_is_an_error(settings, region):
    settings.VERIFY_REGIONS = ["*"]
    settings.VERIFY_DEFAULT_REGION = region
    [problem] = problems()
    assert f"pollstr.E005 VERIFY_DEFAULT_REGION={region} is no country" in problem


def test_a_default_region_that_gets_no_codes_is_an_error(settings):
    settings.VERIFY_DEFAULT_REGION = "FR"
    [problem] = problems()
    assert "pollstr.E005 VERIFY_DEFAULT_REGION=FR is not among VERIFY_REGIONS" in problem


def test_a_territory_may_be_shut(settings):
    settings.VERIFY_REGIONS = ["US", "GB", "-JE"]
    assert problems() == []


@pytest.mark.parametrize("regions", [["GB", "-JE"], ["*", "-JE"]])
def test_a_default_region_that_is_shut_is_an_error(settings, regions):
    settings.VERIFY_REGIONS, settings.VERIFY_DEFAULT_REGION = regions, "JE"
    [problem] = [line for line in problems() if "E005" in line]
    assert "is not among VERIFY_REGIONS" in problem


def test_a_territory_of_an_open_country_may_be_the_default(settings):
    settings.VERIFY_REGIONS, settings.VERIFY_DEFAULT_REGION = ["GB"], "JE"
    assert problems() == []


def test_where_all_regions_get_codes_any_may_be_the_default(settings):
    settings.VERIFY_REGIONS, settings.VERIFY_DEFAULT_REGION = ["*"], "FR"
    assert problems() == []


LEAST = {
    0: [
        "TRUSTED_PROXIES",
        "VERIFY_RESEND_WAITS",
        "VERIFY_SENDS_PER_USER",
        "VERIFY_SENDS_PER_NUMBER",
        "VERIFY_SENDS_PER_IP",
        "VERIFY_SENDS_PER_PREFIX",
        "VERIFY_SENDS_PER_DAY",
        "POLLS_PER_DAY",
    ],
    1: [
        "VONAGE_TIMEOUT",
        "VERIFY_CALLS_AT_ONCE",
        "VERIFY_MAX_FAILURES",
        "VERIFY_LOCK_SECONDS",
        "VERIFIED_SECONDS",
        "VERIFIED_IDLE_SECONDS",
        "VERIFY_HISTORY_DAYS",
    ],
}


@pytest.mark.parametrize(
    ("name", "least"), [(name, least) for least, names in LEAST.items() for name in names]
)
def test_a_number_too_small_is_an_error(settings, name, least):
    def change(value):
        setattr(settings, name, [30, value] if name == "VERIFY_RESEND_WAITS" else value)
        return [problem for problem in problems() if "W003" not in problem]

    assert change(least) == []
    assert change(least - 1) == [f"pollstr.E006 {name} must be at least {least}."]


def test_more_tries_than_guessing_takes_are_an_error(settings):
    settings.VERIFY_MAX_FAILURES = 100
    assert problems() == []
    settings.VERIFY_MAX_FAILURES = 101
    assert "pollstr.E007 VERIFY_MAX_FAILURES must be at most 100" in problems()[0]


def test_an_idle_time_without_effect_is_told(settings):
    settings.VERIFIED_SECONDS = settings.VERIFIED_IDLE_SECONDS = 3600
    assert problems() == []
    settings.VERIFIED_SECONDS = 3599
    assert "pollstr.W003 VERIFIED_IDLE_SECONDS is more than VERIFIED_SECONDS" in problems()[0]


def test_all_countries_at_once_are_a_warning_in_production():
    answer = check("--fail-level", "WARNING", env=COMPLETE | {"VERIFY_REGIONS": "*"})
    assert answer.returncode == 1
    assert "(pollstr.W004) VERIFY_REGIONS is *: every country opened is one" in answer.stderr
    assert "1 issue" in answer.stderr


def test_all_that_is_wrong_in_the_environment_is_told_at_once():
    wrong = {
        "VERIFY_BRAND": "A brand: too long",
        "VERIFY_REGIONS": "US,XX",
        "VERIFY_DEFAULT_REGION": "FR",
        "VERIFY_MAX_FAILURES": "1000",
        "VERIFY_RESEND_WAITS": "30,-1",
        "VERIFY_CALLS_AT_ONCE": "0",
        "VONAGE_TIMEOUT": "0",
    }
    answer = check(env=COMPLETE | wrong)
    assert answer.returncode == 1
    assert [name for name in wrong if f") {name}" not in answer.stderr] == []


def test_a_voter_key_that_is_the_secret_key_stops_the_start():
    env = COMPLETE | {"VOTER_KEY": PRODUCTION["SECRET_KEY"]}
    for arguments in [[], ["--deploy"]]:
        answer = manage("check", *arguments, env=env)
        assert answer.returncode == 1
        assert "(pollstr.E010) VOTER_KEY is SECRET_KEY" in answer.stderr
    start = run("python", "-c", "import pollstr.wsgi", env=env)
    assert start.returncode == 1
    assert "VOTER_KEY is SECRET_KEY" in start.stderr


@pytest.mark.parametrize("key", ["x", "fifteen-letters"])
def test_a_voter_key_that_can_be_guessed_is_named_but_does_not_stop_a_site_with_open_polls(key):
    env = COMPLETE | {"VOTER_KEY": key}
    answer = manage("check", "--deploy", env=env)
    assert answer.returncode == 1
    assert "(pollstr.E012) VOTER_KEY has fewer than 16 characters" in answer.stderr
    assert run("python", "-c", "import pollstr.wsgi", env=env).returncode == 0


def test_development_may_have_any_voter_key(settings):
    settings.DEBUG, settings.VOTER_KEY = True, "x"
    assert problems() == []


WARNINGS = {
    "W005": ("VOTER_KEY has fewer than 32", {"VOTER_KEY": "0123456789-0123456789"}),
    "W005 again": ("VOTER_KEY has fewer than 5 different", {"VOTER_KEY": "ab-" * 12}),
    "W007 again": ("DEFAULT_FROM_EMAIL is no address", {"DEFAULT_FROM_EMAIL": "Pollstr <polls>"}),
    "W007 in lines": ("DEFAULT_FROM_EMAIL is no a", {"DEFAULT_FROM_EMAIL": "a@b.example\nX: y"}),
    "W011": ("SITE_URL is http", {"SITE_URL": "http://polls.example.com"}),
    "W006": ("DATABASE_URL is missing", {"DATABASE_URL": ""}),
    "W007": ("DEFAULT_FROM_EMAIL is missing", {"DEFAULT_FROM_EMAIL": ""}),
    "W008": ("OPERATOR_ADDRESS, OPERATOR_EMAIL m", {"OPERATOR_ADDRESS": "", "OPERATOR_EMAIL": ""}),
    "W009": ("TRUSTED_PROXIES is 0", {"TRUSTED_PROXIES": ""}),
    "W010": ("ALLOWED_HOSTS has no full name", {"ALLOWED_HOSTS": ".example.com,127.0.0.1"}),
}


@pytest.mark.parametrize("number", WARNINGS)
def test_what_would_lose_votes_or_visitors_is_a_warning_in_production(number):
    words, env = WARNINGS[number]
    answer = check("--fail-level", "WARNING", env=COMPLETE | env)
    assert answer.returncode == 1
    assert f"(pollstr.{number[:4]}) {words}" in answer.stderr
    assert "1 issue" in answer.stderr


def test_regions_may_stand_with_blanks():
    env = COMPLETE | {"VERIFY_REGIONS": "DE, AT ,", "VERIFY_DEFAULT_REGION": " DE"}
    answer = check("--fail-level", "WARNING", env=env)
    assert (answer.returncode, answer.stderr) == (0, "")


def test_plain_http_needs_no_proxy():
    env = COMPLETE | {"TRUSTED_PROXIES": "0", "SECURE_SSL_REDIRECT": "False"}
    assert "pollstr.W009" not in check(env=env).stderr


@pytest.mark.parametrize("site", ["https://polls.example.org", "https://example.com"])
def test_a_site_url_that_is_no_host_of_ours_is_an_error(settings, site):
    settings.ALLOWED_HOSTS, settings.SITE_URL = ["polls.example.com"], site
    assert "pollstr.E011 SITE_URL is not among ALLOWED_HOSTS" in problems()[0]


@pytest.mark.parametrize("site", ["https://polls.example.com:8443", ""])
def test_a_site_url_of_a_host_of_ours_is_none(settings, site):
    settings.ALLOWED_HOSTS, settings.SITE_URL = [".example.com"], site
    assert problems() == []


@pytest.mark.parametrize(
    "given",
    ["an-id", "78d335fa323d01149c3dd6f0d48968cf", f"{{{APPLICATION_ID}}}", APPLICATION_ID[1:]],
)
def test_an_application_id_that_is_none_is_an_error(settings, given):
    settings.VONAGE_APPLICATION_ID, settings.VONAGE_PRIVATE_KEY = given, pem(RSA_KEY)
    assert ["pollstr.E009" in problem for problem in problems()] == [True]


def test_a_start_without_a_database_is_in_the_log():
    env = COMPLETE | {"DATABASE_URL": ""}
    start = run("python", "-c", "import pollstr.wsgi", env=env)
    assert start.returncode == 0
    assert "DATABASE_URL is missing: votes are in a SQLite file" in start.stderr
    assert "DATABASE_URL" not in run("python", "-c", "import pollstr.wsgi", env=COMPLETE).stderr
