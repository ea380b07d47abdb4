"""What one internet address may do only so often: search, and try addresses of polls."""

import math
import time

from django.core.cache import cache

from two_factor.models import Limit
from two_factor.steps import client_address


class AddressLimit:
    """At most ``most`` uses by one internet address in each window of ``seconds``.

    A use is one row written. Once the limit is reached the cache remembers it, so that whoever
    goes on costs no writes.
    """

    def __init__(self, name: str, most: int, seconds: int):
        self.name, self.most, self.seconds = name, most, seconds

    def count(self, request) -> int:
        """Count one more use; return how many seconds to wait, 0 where it is within the limit."""
        address = client_address(request)
        if wait := self.wait(request):
            return wait
        limit = Limit.objects.add(self.name, address, self.seconds)
        if limit.count <= self.most:
            return 0
        wait = max(1, math.ceil(limit.ends_at.timestamp() - time.time()))
        cache.set(limit.key, limit.ends_at.timestamp(), wait)
        return wait

    def wait(self, request) -> int:
        """Return how many seconds to wait where the limit was reached, without counting."""
        key = Limit.objects.unused(self.name, client_address(request), self.seconds).key
        ends_at = cache.get(key, 0)
        return max(0, math.ceil(ends_at - time.time()))


def refused(response, wait: int):
    """Make the page that says so the answer to a use beyond the limit."""
    response.status_code = 429
    response["Retry-After"] = wait
    return response
