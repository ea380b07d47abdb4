import ast
import json
import sys

import pytest
from django.conf import settings

from pollstr.gunicorn_worker import MAX_BODY_BYTES
from pollstr.tests.production import ENV_EXAMPLE, PRODUCTION, UNSET, VARIABLE, manage, run

PRINT_SETTINGS = """
import json
from pollstr import settings
plain = {name: getattr(settings, name) for name in dir(settings) if name.isupper()}
print(json.dumps(plain, default=str))
"""


def settings_with(**variables):
    """Return what settings.py makes of ``variables``."""
    loaded = run(sys.executable, "-c", PRINT_SETTINGS, env=UNSET | variables)
    assert loaded.returncode == 0, loaded.stderr
    return json.loads(loaded.stdout)


def variables_read():
    tree = ast.parse((settings.BASE_DIR / "pollstr/settings.py").read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args]
    return {
        call.args[0].value
        for call in calls
        if isinstance(call.args[0], ast.Constant) and ast.unparse(call.func).startswith("env.")
    }


def variables_explained():
    return dict(VARIABLE.findall(ENV_EXAMPLE.read_text()))


def test_env_example_explains_each_variable_that_settings_read():
    assert variables_explained().keys() == variables_read()


def test_nothing_but_settings_reads_the_environment():
    readers = [
        path.relative_to(settings.BASE_DIR).as_posix()
        for app in ["pollstr", "polls", "two_factor"]
        for path in (settings.BASE_DIR / app).rglob("*.py")
        if "tests" not in path.parts and "os.environ" in path.read_text()
    ]
    assert sorted(readers) == ["pollstr/settings.py", "pollstr/wsgi.py"]


def test_env_example_states_the_true_defaults():
    stated = {name: value for name, value in variables_explained().items() if value}
    assert settings_with(**stated) == settings_with(DEBUG="True")


def test_env_example_as_it_stands_is_a_development_site():
    in_force = [line for line in ENV_EXAMPLE.read_text().splitlines() if line[:1] not in {"", "#"}]
    assert in_force == ["DEBUG=True"]


def test_app_json_asks_for_known_variables_only():
    app = json.loads((settings.BASE_DIR / "app.json").read_text())
    assert app["env"].keys() <= variables_explained().keys()


@pytest.mark.parametrize("name", ["SECRET_KEY", "VOTER_KEY", "ALLOWED_HOSTS"])
def test_production_does_not_start_without(name):
    check = manage("check", env=PRODUCTION | {name: ""})
    assert check.returncode == 1
    assert f"set {name} in the environment" in check.stderr
    assert "Traceback" not in check.stderr


def test_production_names_all_that_is_missing_at_once():
    check = manage("check", env=UNSET)
    assert check.returncode == 1
    assert "set SECRET_KEY, VOTER_KEY, ALLOWED_HOSTS in the environment" in check.stderr


def test_production_starts_with_these_alone():
    assert manage("check", env=PRODUCTION).returncode == 0


def test_development_starts_with_debug_alone():
    assert manage("check", env=UNSET | {"DEBUG": "True"}).returncode == 0


def test_static_files_are_collected_without_any_variable():
    collect = manage("collectstatic", "--noinput", "--dry-run", env=UNSET)
    assert collect.returncode == 0, collect.stderr
    assert "bootstrap/css/bootstrap.min.css" in collect.stdout
    assert "static/pollstr.css" in collect.stdout


def test_an_empty_variable_counts_as_unset():
    empty = settings_with(**PRODUCTION)
    assert {PRODUCTION["VERIFY_MAX_FAILURES"], PRODUCTION["SECURE_SSL_REDIRECT"]} == {""}
    assert empty["VERIFY_MAX_FAILURES"] == 10
    assert empty["SECURE_SSL_REDIRECT"] is True


def test_a_secret_may_begin_with_a_dollar_sign():
    secrets = settings_with(DEBUG="True", VONAGE_API_KEY="key", VONAGE_API_SECRET="$PATH$\\$1")
    assert secrets["VONAGE_API_SECRET"] == "$PATH$\\$1"


def test_https_is_left_to_a_proxy_only_where_one_is_trusted():
    header = ["HTTP_X_FORWARDED_PROTO", "https"]
    assert settings_with(DEBUG="True", TRUSTED_PROXIES="1")["SECURE_PROXY_SSL_HEADER"] == header
    assert "SECURE_PROXY_SSL_HEADER" not in settings_with(DEBUG="True")


def test_sqlite_keeps_its_connections_and_so_its_log():
    assert settings_with(DEBUG="True")["DATABASES"]["default"]["CONN_MAX_AGE"] is None


def test_the_databases_address_may_say_that_a_pool_stands_before_it():
    pooled = "postgres://me:pw@host:6432/polls?DISABLE_SERVER_SIDE_CURSORS=True"
    database = settings_with(DEBUG="True", DATABASE_URL=pooled)["DATABASES"]["default"]
    assert database["DISABLE_SERVER_SIDE_CURSORS"] is True
    assert database["NAME"] == "polls"
    # Nothing of it is for PostgreSQL's own client, which would refuse it.
    assert database["OPTIONS"] == {
        "connect_timeout": 5,
        "tcp_user_timeout": 10_000,
        "sslmode": "require",
    }


@pytest.mark.parametrize(
    ("url", "mode"),
    [
        ("postgres://me:pw@db.example.com:5432/polls", "require"),
        ("postgres://me:pw@10.1.2.3/polls", "require"),
        ("postgres://me:pw@localhost,db2:5432/polls", "require"),
        ("postgres://me:pw@db/polls?sslmode=disable", "disable"),
        ("postgres://me:pw@db/polls?sslmode=verify-full", "verify-full"),
        ("postgres:////run/postgresql/polls", None),
        ("postgres://me:pw@localhost:5432/polls", None),
        ("postgres://me:pw@127.0.0.1/polls", None),
    ],
)
def test_a_database_on_another_machine_is_asked_to_encrypt(url, mode):
    for name in ["default", "replica"]:
        databases = settings_with(DEBUG="True", DATABASE_URL=url, REPLICA_URL=url)["DATABASES"]
        assert databases[name]["OPTIONS"].get("sslmode") == mode


def test_how_libpq_encrypts_may_be_told_in_its_own_variable():
    url = "postgres://me:pw@db.example.com/polls"
    options = settings_with(DEBUG="True", DATABASE_URL=url, PGSSLMODE="verify-full")
    assert "sslmode" not in options["DATABASES"]["default"]["OPTIONS"]


@pytest.mark.parametrize(("given", "is_verified"), [("", True), ("True", True), ("False", False)])
def test_the_certificate_of_redis_is_verified_unless_told_otherwise(given, is_verified):
    env = {"REDIS_URL": "rediss://:pw@host:6380", "REDIS_TLS_VERIFY": given}
    cache = settings_with(DEBUG="True", **env)["CACHES"]["default"]
    assert cache["LOCATION"] == "rediss://:pw@host:6380"
    assert cache["OPTIONS"].get("ssl_cert_reqs", "verified") == (
        "verified" if is_verified else None
    )


def test_earlier_keys_may_be_named_while_a_new_one_takes_over():
    keys = settings_with(DEBUG="True", SECRET_KEY_FALLBACKS="one, two,")
    assert keys["SECRET_KEY_FALLBACKS"] == ["one", "two"]


@pytest.mark.parametrize(
    ("hosts", "more", "site"),
    [
        ("polls.example.com", {}, "https://polls.example.com"),
        (".example.com, Polls.example.com,other.example.com", {}, "https://polls.example.com"),
        ("127.0.0.1,[::1],localhost,intranet", {}, "https://intranet"),
        ("polls.example.com", {"SECURE_SSL_REDIRECT": "False"}, "http://polls.example.com"),
        ("polls.example.com", {"DEBUG": "True"}, ""),
        (".herokuapp.com", {}, ""),
        ("*", {}, ""),
        ("127.0.0.1,localhost", {}, ""),
        (".herokuapp.com", {"SITE_URL": "https://a.herokuapp.com/"}, "https://a.herokuapp.com"),
        ("a.b", {"SITE_URL": "http://A.b:8080", "DEBUG": "True"}, "http://a.b:8080"),
    ],
)
def test_the_site_knows_its_own_address(hosts, more, site):
    env = PRODUCTION | {"ALLOWED_HOSTS": hosts} | more
    assert settings_with(**env)["SITE_URL"] == site


def test_what_the_web_server_keeps_is_what_the_site_reads():
    limits = settings_with(DEBUG="True")
    assert limits["DATA_UPLOAD_MAX_MEMORY_SIZE"] == MAX_BODY_BYTES


def test_redis_without_tls_is_given_no_tls_options():
    cache = settings_with(DEBUG="True", REDIS_URL="redis://host:6379/0")["CACHES"]["default"]
    assert "ssl_cert_reqs" not in cache["OPTIONS"]


def test_mail_is_sent_as_email_url_says():
    mail = settings_with(DEBUG="True", EMAIL_URL="smtp+tls://me:pw@mail.example.com:587")
    options = mail["MAILERS"]["default"]["OPTIONS"]
    assert (options["host"], options["port"], options["username"], options["password"]) == (
        "mail.example.com",
        587,
        "me",
        "pw",
    )
    assert options["use_tls"] is True


@pytest.mark.parametrize(
    ("url", "port", "tls", "ssl"),
    [
        ("smtps://me:pw@mail.example.com", 465, False, True),
        ("smtps://me:pw@mail.example.com:4650", 4650, False, True),
        ("smtp+ssl://me:pw@mail.example.com", 465, False, True),
        ("smtp+tls://me:pw@mail.example.com", 587, True, False),
        ("smtp://mail.example.com", 25, False, False),
    ],
)
def test_mail_is_encrypted_as_its_scheme_says(url, port, tls, ssl):
    options = settings_with(DEBUG="True", EMAIL_URL=url)["MAILERS"]["default"]["OPTIONS"]
    assert (options["port"], options["use_tls"], options["use_ssl"]) == (port, tls, ssl)
