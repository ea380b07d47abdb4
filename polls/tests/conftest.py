import pytest
from django.core.cache import cache


@pytest.fixture(autouse=True)
def fresh_counts(monkeypatch):
    """Leave no test a count of another's poll, nor on a slow machine one of its own."""
    cache.clear()
    monkeypatch.setattr("polls.tally.CHEAP", 1000)
