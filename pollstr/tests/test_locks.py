"""The locks: what is installed is what was reviewed, byte for byte."""

import re

import pytest
from django.conf import settings

PACKAGE = re.compile(r"^(\S+)==(\S+).*\\\n((?: {4}--hash=sha256:[0-9a-f]{64}(?: \\)?\n)*)", re.M)


def packages(lock) -> dict[str, str]:
    """Return the hashes of each package."""
    text = (settings.BASE_DIR / lock).read_text()
    return {name: hashes for name, _, hashes in PACKAGE.findall(text)}


@pytest.mark.parametrize("lock", ["requirements.txt", "requirements-dev.txt"])
def test_each_package_has_its_version_and_its_hashes(lock):
    lines = (settings.BASE_DIR / lock).read_text().splitlines()
    named = {line.split("==")[0].split()[0] for line in lines if line and line[0] not in " #"}
    assert len(named) > 10
    assert packages(lock).keys() == named
    assert [name for name, hashes in packages(lock).items() if not hashes] == []


def test_both_locks_have_the_same_of_what_is_in_both():
    site, tests = packages("requirements.txt"), packages("requirements-dev.txt")
    both = site.keys() & tests.keys()
    assert "requests" in both
    assert [name for name in both if site[name] != tests[name]] == []
