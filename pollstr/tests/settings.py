"""The site's settings in an environment of the tests' own, whatever a developer's .env says."""

import os

PINNED = {
    "DEBUG": "True",
    "SECRET_KEY": "only-for-tests-" + "0" * 50,
    "VOTER_KEY": "voter-key-of-the-tests",
    "ALLOWED_HOSTS": "testserver,localhost,127.0.0.1",
    "SECURE_SSL_REDIRECT": "False",
    "TRUSTED_PROXIES": "0",
    "REDIS_URL": "",
    "EMAIL_URL": "",
    "SENTRY_DSN": "",
    "VONAGE_API_KEY": "",
    "VONAGE_API_SECRET": "",
    "VONAGE_APPLICATION_ID": "",
    "VONAGE_PRIVATE_KEY": "",
    "VONAGE_SIGNATURE_SECRET": "",
    "VONAGE_API_HOST": "api.nexmo.com",
    "VONAGE_TIMEOUT": "5",
    "VERIFY_BRAND": "Pollstr",
    "VERIFY_REGIONS": "US,CA,GB,IE,AU,NZ",
    "VERIFY_DEFAULT_REGION": "US",
    "VERIFY_ALLOW_VOIP": "True",
    # Playwright's sync API runs an event loop in the tests' thread.
    "DJANGO_ALLOW_ASYNC_UNSAFE": "true",
}
os.environ.update(PINNED)

from pollstr.settings import *  # noqa: E402, F403

# A slow hash protects passwords, and slows tests.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher", "pollstr.hashers.Argon2id"]
# Each test's client makes the middleware anew; this spares it listing all static files.
WHITENOISE_AUTOREFRESH = True
