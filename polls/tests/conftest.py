import pytest
from django.core.cache import cache


@pytest.fixture(autouse=True)
def fresh_counts():
    """Leave no test what was kept of another's poll."""
    cache.clear()
