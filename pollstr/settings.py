"""Pollstr's settings. Nothing else reads the environment; .env.example explains each variable."""

import os
import sys
from pathlib import Path

from bootstrap_wrapper import get_bootstrap_dir
from django.core.exceptions import ImproperlyConfigured
from django.utils.csp import CSP

from .environment import Env, default_site_url, is_remote

BASE_DIR = Path(__file__).resolve().parent.parent

env = Env()
env.read_env(BASE_DIR / ".env")
# An empty variable counts as unset. A value that begins with $ is itself: django-environ would
# read the variable of that name instead.
env.escape_proxy = True
env.ENVIRON = {name: value.replace("$", r"\$") for name, value in os.environ.items() if value}

DEBUG = env.bool("DEBUG", False)

# A host collects the static files while it builds, before it has any variable.
COLLECTING_STATIC_FILES = "collectstatic" in sys.argv
DEFAULTS_ALLOWED = DEBUG or COLLECTING_STATIC_FILES

missing = [name for name in ("SECRET_KEY", "VOTER_KEY", "ALLOWED_HOSTS") if not env.str(name, "")]
if missing and not DEFAULTS_ALLOWED:
    raise ImproperlyConfigured(
        f"set {', '.join(missing)} in the environment; .env.example says what each is for. "
        "(DEBUG=True fills them in, for development only.)"
    )

SECRET_KEY = env.str("SECRET_KEY", "only-for-development-" + "0" * 40)
# Earlier keys, while a new one takes over: what they signed stays good, and nothing new is signed
# with them.
SECRET_KEY_FALLBACKS = env.listed("SECRET_KEY_FALLBACKS", [])
# Turns a phone number into the mark on a ballot. Another key means another mark, and so a
# second vote for everyone: never change it while polls are open.
VOTER_KEY = env.str("VOTER_KEY", f"voter-{SECRET_KEY}")

ALLOWED_HOSTS = env.hosts("ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.origins("CSRF_TRUSTED_ORIGINS")

INSTALLED_APPS = [
    "pollstr.apps.PollstrConfig",
    "polls",
    "two_factor",
    "pollstr.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.sitemaps",
    "django.contrib.humanize",
    # Serves the files in place of runserver's own handler, as in production.
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_bootstrap5",
    "phonenumber_field",
]

MIDDLEWARE = [
    "pollstr.logs.requests",
    # Early, so that static files and redirects have its headers, too.
    "pollstr.middleware.fences",
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    # Before anything asks for the host.
    "pollstr.middleware.health_checks",
    "pollstr.middleware.known_hosts",
    "pollstr.middleware.unbelieved_proxies",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "pollstr.middleware.languages",
    # Its page speaks the visitor's language.
    "pollstr.middleware.size_limits",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "pollstr.middleware.private_pages",
    "pollstr.middleware.error_pages",
]

ROOT_URLCONF = "pollstr.urls"
WSGI_APPLICATION = "pollstr.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
            "builtins": ["django.templatetags.i18n"],
        },
    },
]

# --- Data -------------------------------------------------------------------------------------

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
HAS_DATABASE_URL = bool(env.str("DATABASE_URL", ""))
DATABASES = {"default": env.db_url("DATABASE_URL", f"sqlite:///{BASE_DIR / 'db.sqlite3'}")}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # Writers queue up instead of failing with "database is locked".
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 10,
        "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;",
    }
    # The web server's threads keep their connections: the last one to close deletes SQLite's log,
    # and on a full disk a new one has no room, so that nothing could be read either.
    DATABASES["default"]["CONN_MAX_AGE"] = None
    # In a file, as the site's own: threads of the tests' server each open it for themselves.
    DATABASES["default"]["TEST"] = {"NAME": f"{DATABASES['default']['NAME']}.test"}
# A copy that is always a little late, for the lists and searches of strangers alone.
elif env.str("REPLICA_URL", ""):
    DATABASES["replica"] = env.db_url("REPLICA_URL", "")
for database in DATABASES.values():
    if not database["ENGINE"].endswith("sqlite3"):
        database["ENGINE"] = "pollstr.postgresql"
        database["CONN_MAX_AGE"] = 60
        database["CONN_HEALTH_CHECKS"] = True
        # Seconds; without it a request waits for minutes on a host that is gone.
        database.setdefault("OPTIONS", {}).setdefault("connect_timeout", 5)
        if is_remote(database) and "PGSSLMODE" not in os.environ:
            # Without it libpq falls back to plain text. ?sslmode=disable in the URL turns it off.
            database["OPTIONS"].setdefault("sslmode", "require")
        # Milliseconds; the same where it goes while a query is on its way to it.
        database["OPTIONS"].setdefault("tcp_user_timeout", 10_000)

REDIS_URL = env.redis_url("REDIS_URL", "")
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
if REDIS_URL:
    CACHES["default"] = {
        "BACKEND": "pollstr.caches.RedisOrOwnCache",
        "LOCATION": REDIS_URL,
        "OPTIONS": {
            "socket_timeout": 2,
            "socket_connect_timeout": 2,
            "serializer": "pollstr.caches.SignedSerializer",
        },
    }
# Heroku's Redis has a self-signed certificate, and its address cannot be changed by its user.
REDIS_TLS_VERIFY = env.bool("REDIS_TLS_VERIFY", True)
if REDIS_URL.startswith("rediss://") and not REDIS_TLS_VERIFY:
    CACHES["default"]["OPTIONS"]["ssl_cert_reqs"] = None

SESSION_ENGINE = "pollstr.sessions"

# --- Accounts ---------------------------------------------------------------------------------

LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "polls:list"
LOGOUT_REDIRECT_URL = "polls:list"
AUTHENTICATION_BACKENDS = ["pollstr.backends.UserBackend"]
PASSWORD_HASHERS = ["pollstr.hashers.Argon2id"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

# Reset links go to the console in development; without EMAIL_URL in production no mail goes
# out, the password page says so, and `check --deploy` warns (pollstr.W002) in place of mail.E001.
EMAIL_URL = env.str("EMAIL_URL", "")
SILENCED_SYSTEM_CHECKS = ["mail.E001"]
SENDS_MAIL = DEBUG or bool(EMAIL_URL)
if EMAIL_URL:
    mail = env.smtp_url("EMAIL_URL")
    MAILERS = {
        "default": {
            "BACKEND": mail["EMAIL_BACKEND"],
            "OPTIONS": {
                "host": mail["EMAIL_HOST"],
                "port": mail["EMAIL_PORT"],
                "username": mail["EMAIL_HOST_USER"],
                "password": mail["EMAIL_HOST_PASSWORD"],
                "use_tls": mail.get("EMAIL_USE_TLS", False),
                "use_ssl": mail.get("EMAIL_USE_SSL", False),
                "timeout": 10,
            },
        }
    }
else:
    backend = "console" if DEBUG else "dummy"
    MAILERS = {"default": {"BACKEND": f"django.core.mail.backends.{backend}.EmailBackend"}}
NO_FROM_EMAIL = "Pollstr <noreply@localhost>"
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", NO_FROM_EMAIL)

# Who runs the site, for the pages that the law asks for.
OPERATOR = {
    "name": env.str("OPERATOR_NAME", ""),
    "address": env.str("OPERATOR_ADDRESS", "", multiline=True),
    "email": env.str("OPERATOR_EMAIL", ""),
    "details": env.str("OPERATOR_DETAILS", "", multiline=True),
    "hosting": env.str("OPERATOR_HOSTING", ""),
}

# --- Polls ------------------------------------------------------------------------------------

# Most polls that one account makes in a day: drafts and copies too. Nobody needs as many.
POLLS_PER_DAY = env.int("POLLS_PER_DAY", 20)

# --- Phone verification -----------------------------------------------------------------------

VONAGE_API_KEY = env.str("VONAGE_API_KEY", "")
VONAGE_API_SECRET = env.str("VONAGE_API_SECRET", "")
VONAGE_APPLICATION_ID = env.str("VONAGE_APPLICATION_ID", "")
VONAGE_PRIVATE_KEY = env.str("VONAGE_PRIVATE_KEY", "", multiline=True)
VONAGE_SIGNATURE_SECRET = env.str("VONAGE_SIGNATURE_SECRET", "")
VONAGE_API_HOST = env.str("VONAGE_API_HOST", "api.nexmo.com")
VONAGE_TIMEOUT = env.int("VONAGE_TIMEOUT", 5)

VERIFY_BRAND = env.str("VERIFY_BRAND", "Pollstr")
# English-speaking countries with little SMS fraud: every country opened is one to be defrauded in.
VERIFY_REGIONS = env.listed("VERIFY_REGIONS", ["US", "CA", "GB", "IE", "AU", "NZ"])
VERIFY_DEFAULT_REGION = env.str("VERIFY_DEFAULT_REGION", "US").strip()
# NIST lifted its ban on numbers of the internet (800-63B-4, final); an owner may still refuse them.
VERIFY_ALLOW_VOIP = env.bool("VERIFY_ALLOW_VOIP", True)
# Ten tries in a row are few against a million codes and many for a person (NIST 800-63B-4 §3.2.2).
VERIFY_MAX_FAILURES = env.int("VERIFY_MAX_FAILURES", 10)
VERIFY_LOCK_SECONDS = env.int("VERIFY_LOCK_SECONDS", 600)
VERIFY_RESEND_WAITS = env.ints("VERIFY_RESEND_WAITS", [30, 60, 180, 300, 600])
VERIFY_SENDS_PER_USER = env.int("VERIFY_SENDS_PER_USER", 5)
VERIFY_SENDS_PER_NUMBER = env.int("VERIFY_SENDS_PER_NUMBER", 5)
VERIFY_SENDS_PER_IP = env.int("VERIFY_SENDS_PER_IP", 20)
VERIFY_SENDS_PER_PREFIX = env.int("VERIFY_SENDS_PER_PREFIX", 30)
VERIFY_SENDS_PER_DAY = env.int("VERIFY_SENDS_PER_DAY", 5000)
# How many calls to Vonage one process makes at once, of the eight things it can do at once.
VERIFY_CALLS_AT_ONCE = env.int("VERIFY_CALLS_AT_ONCE", 4)
# So many days the history of codes is kept: purge goes by it, and the privacy page tells it.
VERIFY_HISTORY_DAYS = env.int("VERIFY_HISTORY_DAYS", 365)
VERIFIED_SECONDS = env.int("VERIFIED_SECONDS", 43200)
VERIFIED_IDLE_SECONDS = env.int("VERIFIED_IDLE_SECONDS", 3600)
PHONENUMBER_DEFAULT_REGION = VERIFY_DEFAULT_REGION

# --- Security ---------------------------------------------------------------------------------

SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", not DEBUG)
# The base of all absolute links; "" means the request's host (site_url.py).
SITE_URL = env.site_url("SITE_URL")
if not SITE_URL and not DEBUG:
    SITE_URL = default_site_url(ALLOWED_HOSTS, SECURE_SSL_REDIRECT)
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if SECURE_SSL_REDIRECT else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_SSL_REDIRECT
SECURE_HSTS_PRELOAD = SECURE_SSL_REDIRECT
SESSION_COOKIE_SECURE = SECURE_SSL_REDIRECT
CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT
CSRF_COOKIE_HTTPONLY = True
# A browser takes cookies of such a name from this very host over https only: neither a subdomain
# nor somebody on the wire can plant one.
COOKIE_PREFIX = "__Host-" if SECURE_SSL_REDIRECT else ""
SESSION_COOKIE_NAME = f"{COOKIE_PREFIX}sessionid"
CSRF_COOKIE_NAME = f"{COOKIE_PREFIX}csrftoken"
MESSAGES_COOKIE_NAME = f"{COOKIE_PREFIX}messages"
LANGUAGE_COOKIE_NAME = f"{COOKIE_PREFIX}language"
LANGUAGE_COOKIE_SECURE = SECURE_SSL_REDIRECT
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_AGE = 365 * 24 * 3600
MESSAGE_STORAGE = "pollstr.sessions.MessageStorage"
# A host asks for these two over plain http, from inside.
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]

# How many proxies in front of the site append to X-Forwarded-For; only then are it and
# X-Forwarded-Proto believed, for anyone can send them.
TRUSTED_PROXIES = env.int("TRUSTED_PROXIES", 0)
if TRUSTED_PROXIES:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# Bytes. Larger requests get 413. The web server does not keep them: gunicorn_worker.MAX_BODY_BYTES.
# A poll of 50 long answers in a script of 12 bytes a letter, as browsers send it, has 190 kB.
DATA_UPLOAD_MAX_MEMORY_SIZE = 256 * 1024
# The largest form is the administration's for a poll of 50 choices.
DATA_UPLOAD_MAX_NUMBER_FIELDS = 400
# No form takes files. What is sent as one is dropped. A form that takes some needs a handler here,
# such as django.core.files.uploadhandler.MemoryFileUploadHandler, and both limits above.
FILE_UPLOAD_HANDLERS = []
DATA_UPLOAD_MAX_NUMBER_FILES = 10

X_FRAME_OPTIONS = "DENY"
CSRF_FAILURE_VIEW = "pollstr.errors.csrf_failure"
SECURE_CSP = {
    "default-src": [CSP.NONE],
    "script-src": [CSP.SELF],
    "style-src": [CSP.SELF],
    # Bootstrap draws checkboxes and carets as data: images.
    "img-src": [CSP.SELF, "data:"],
    "font-src": [CSP.SELF],
    "connect-src": [CSP.SELF],
    "manifest-src": [CSP.SELF],
    "form-action": [CSP.SELF],
    "base-uri": [CSP.NONE],
    "frame-ancestors": [CSP.NONE],
}

# --- Language, static files, log --------------------------------------------------------------

# A label says what belongs into a field; a placeholder vanishes.
BOOTSTRAP5 = {"set_placeholder": False}

LANGUAGE_CODE = "en"
# Each in its own words, for whoever looks for it.
LANGUAGES = [
    ("en", "English"),
    ("de", "Deutsch"),
    ("fr", "Français"),
    ("es", "Español"),
    ("pt-br", "Português (Brasil)"),
    ("ar", "العربية"),
]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [
    BASE_DIR / "static",
    ("vendor/bootstrap", get_bootstrap_dir()),
]
WHITENOISE_KEEP_ONLY_HASHED_FILES = True
WHITENOISE_SKIP_COMPRESS_EXTENSIONS = ["map", "png", "ico"]
STORAGES = {
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

# Requests that Django refuses. Anyone can send them, so they are no errors of the site's.
REFUSED_REQUESTS = [
    "DisallowedHost",
    "DisallowedModelAdminLookup",
    "DisallowedModelAdminToField",
    "DisallowedRedirect",
    "InvalidSessionKey",
    "RequestDataTooBig",
    "SuspiciousFileOperation",
    "SuspiciousMultipartForm",
    "SuspiciousOperation",
    "SuspiciousSession",
    "TooManyFieldsSent",
    "TooManyFilesSent",
]
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "plain": {"format": "{levelname} {name}: {message}", "style": "{"},
        "json": {"()": "pollstr.log_format.JsonFormatter"},
    },
    "filters": {"as_warning": {"()": "pollstr.logs.AsWarning"}},
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": "plain" if DEBUG else "json",
        }
    },
    "root": {"handlers": ["console"], "level": "INFO"},
    "loggers": {
        "django": {"handlers": ["console"], "level": "INFO", "propagate": False},
        "django.server": {"handlers": ["console"], "level": "INFO", "propagate": False},
        # Each request has its line; in development runserver writes one.
        "django.request": {"level": "ERROR"},
        "pollstr.requests": {"level": "WARNING" if DEBUG else "INFO"},
        # At lower levels it writes paths and addresses, and a line for each HEAD request.
        "waitress": {"level": "ERROR"},
        # At lower levels the SDK writes phone numbers, codes and credentials.
        "vonage": {"level": "ERROR"},
        # And below this its connections write the paths of its requests.
        "urllib3": {"level": "INFO"},
    }
    | {f"django.security.{name}": {"filters": ["as_warning"]} for name in REFUSED_REQUESTS},
}

# Imported only where it is asked for: it costs memory, and time at the start.
SENTRY_DSN = env.str("SENTRY_DSN", "")
if SENTRY_DSN:
    from . import sentry

    sentry.start(SENTRY_DSN)
