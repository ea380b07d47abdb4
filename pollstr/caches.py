"""The shared cache, and a cache of the process's own for while it does not answer.

Nothing that must hold is kept in a cache: ballots, sessions and limits are in the database.
"""

import hmac
import logging
import time
from hashlib import sha256

from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache, RedisSerializer
from django.utils.crypto import salted_hmac
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

# Seconds for which a Redis that did not answer is left alone, lest each page wait for it anew.
LEFT_ALONE = 5
SIGNATURE_BYTES = sha256().digest_size


class SignedSerializer(RedisSerializer):
    """Signs what goes into Redis: unpickling what somebody else wrote there would run their code.

    What has no valid signature is None, as if it were not there.
    """

    def dumps(self, obj):
        pickled = super().dumps(obj)
        # Redis counts with whole numbers, which it must be able to read.
        return pickled if isinstance(pickled, int) else signature(pickled) + pickled

    def loads(self, data):
        try:
            return int(data)
        except ValueError:
            signed, pickled = data[:SIGNATURE_BYTES], data[SIGNATURE_BYTES:]
            is_ours = hmac.compare_digest(signed, signature(pickled))
            return super().loads(pickled) if is_ours else None


def signature(pickled: bytes) -> bytes:
    return salted_hmac("pollstr.caches", pickled, algorithm="sha256").digest()


class RedisOrOwnCache(BaseCache):
    """Redis; while it does not answer, a cache of the process's own, as without Redis."""

    # Of the process: Django makes a cache for each thread.
    away_until = 0.0

    def __init__(self, location, params):
        super().__init__(params)
        self.redis = RedisCache(location, params)
        self.own = LocMemCache("in place of redis", params | {"OPTIONS": {}})

    def close(self, **kwargs):
        self.redis.close(**kwargs)

    def ask(self, method, *args, **kwargs):
        cls, now = type(self), time.monotonic()
        if now >= cls.away_until:
            # When it was away, one finds out whether it is back, and the others do not wait.
            cls.away_until = cls.away_until and now + LEFT_ALONE
            try:
                answer = getattr(self.redis, method)(*args, **kwargs)
            except RedisError as error:
                cls.away_until = time.monotonic() + LEFT_ALONE
                logger.warning("Redis did not answer: %s", type(error).__name__)
            else:
                cls.away_until = 0.0
                return answer
        return getattr(self.own, method)(*args, **kwargs)


def asking(method):
    return lambda self, *args, **kwargs: self.ask(method, *args, **kwargs)


# What a cache does beside is made of these.
for method in ["add", "get", "set", "touch", "delete", "has_key", "incr", "clear"]:
    setattr(RedisOrOwnCache, method, asking(method))
