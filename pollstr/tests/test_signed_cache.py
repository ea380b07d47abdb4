"""What stands in Redis is believed only where this site wrote it."""

import pickle

import pytest
from django.http import HttpResponse

from pollstr.caches import SignedSerializer

serializer = SignedSerializer()
ran = []


class Attack:
    def __reduce__(self):
        return ran.append, (1,)


@pytest.mark.parametrize("value", ["text", b"bytes", {"a": [1, None]}, True, False, None, 1.5])
def test_what_the_site_wrote_is_read(value):
    assert serializer.loads(serializer.dumps(value)) == value


def test_a_page_is_read():
    page = serializer.loads(serializer.dumps(HttpResponse("page")))
    assert page.text == "page"


@pytest.mark.parametrize("number", [0, 7, -3, 2**60])
def test_redis_can_count(number):
    assert serializer.dumps(number) == number
    assert serializer.loads(str(number).encode()) == number


@pytest.mark.parametrize("before", [b"", b"x" * 32, bytes(32)])
def test_what_somebody_else_wrote_is_not_there_and_is_not_run(before):
    assert serializer.loads(before + pickle.dumps(Attack())) is None
    assert ran == []


@pytest.mark.parametrize("data", [b"", b"x", bytes(31), bytes(32)])
def test_what_is_cut_off_is_not_there(data):
    assert serializer.loads(data) is None


def test_a_signature_of_another_key_is_none(settings):
    written = serializer.dumps("page")
    settings.SECRET_KEY = "another-key-for-this-test"
    assert serializer.loads(written) is None


def test_what_was_changed_is_not_there():
    written = bytearray(serializer.dumps("page"))
    written[-3] ^= 1
    assert serializer.loads(bytes(written)) is None
