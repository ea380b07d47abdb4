"""What one internet address may do only so often: search, and try addresses of polls."""

import math
import time

from django.core.cache import cache

from two_factor.addresses import address_limits, client_address
from two_factor.models import Limit


class AddressLimit:
    """At most ``most`` uses by one internet address in each window of ``seconds``.

    A use adds to one row, for IPv6 to one in each network of the address. Once a limit is reached
    the cache remembers it, so that whoever goes on costs no writes.
    """

    def __init__(self, name: str, most: int, seconds: int):
        self.name, self.most, self.seconds = name, most, seconds

    def count(self, request) -> int:
        """Count one more use; return how many seconds to wait, 0 where it is within the limit."""
        if wait := self.wait(request):
            return wait
        _limits, passed = Limit.objects.count_use(self.limits(request))
        for limit in passed:
            wait = max(1, math.ceil(limit.ends_at.timestamp() - time.time()))
            cache.set(limit.key, limit.ends_at.timestamp(), wait)
        return wait

    def wait(self, request) -> int:
        """Return how many seconds to wait where the limit was reached, without counting."""
        limits = self.limits(request)
        keys = [Limit.objects.unused(name, value, s).key for name, value, _, s in limits]
        ends_at = max(cache.get_many(keys).values(), default=0)
        return max(0, math.ceil(ends_at - time.time()))

    def limits(self, request) -> list[tuple]:
        return address_limits(self.name, client_address(request), self.most, self.seconds)


def refused(response, wait: int):
    """Make the page that says so the answer to a use beyond the limit."""
    response.status_code = 429
    response["Retry-After"] = wait
    return response
