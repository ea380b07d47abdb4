"""A site in production for tests: processes of its own, in an environment of their own."""

import os
import re
import subprocess
import sys
from pathlib import Path

from django.conf import settings

ENV_EXAMPLE = settings.BASE_DIR / ".env.example"
VARIABLE = re.compile(r"^(?:# ?)?([A-Z][A-Z_]*)=(.*)$", re.MULTILINE)
# Empty variables count as unset, and keep a developer's .env out.
UNSET = {name: "" for name, _ in VARIABLE.findall(ENV_EXAMPLE.read_text())} | {
    "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"
}
PRODUCTION = UNSET | {
    "SECRET_KEY": "A-long-key-for-the-tests-of-production-0123456789-abcdef",
    "VOTER_KEY": "voter-key-of-the-tests-of-production",
    "ALLOWED_HOSTS": "127.0.0.1,polls.example.com",
    "DATABASE_URL": "sqlite://:memory:",
}
COMPLETE = PRODUCTION | {
    "TRUSTED_PROXIES": "1",
    "OPERATOR_NAME": "Example Polls",
    "OPERATOR_ADDRESS": "1 Poll Street, London",
    "OPERATOR_EMAIL": "polls@example.com",
    "DEFAULT_FROM_EMAIL": "Pollstr <noreply@example.com>",
    "EMAIL_URL": "smtp+tls://user:password@mail.example.com:587",
    "VONAGE_API_KEY": "abcd1234",
    "VONAGE_API_SECRET": "Secret-of-the-tests-1",
}


def run(*command, env, cwd=settings.BASE_DIR):
    """Run ``command`` beside manage.py, in exactly the environment ``env``."""
    return subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True, timeout=180)


def manage(*arguments, **where):
    return run(sys.executable, "manage.py", *arguments, **where)
