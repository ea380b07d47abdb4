"""How much a request may bring."""

import logging

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils.http import urlencode

from polls.tests.factories import PollFactory

pytestmark = pytest.mark.django_db
LIMIT = 256 * 1024
TYPES = ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/json"]


def is_page_of_413(answer) -> bool:
    return answer.status_code == 413 and "That was too much at once" in answer.text


@pytest.fixture
def strict():
    """A browser whose forms need a token."""
    return Client(enforce_csrf_checks=True)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("name", ["login", "register", "two_factor:create", "two_factor:webhook"])
def test_a_body_that_is_too_large_is_refused_before_the_csrf_check(strict, kind, name, caplog):
    answer = strict.generic("POST", reverse(name), b"x" * (LIMIT + 1), kind)
    assert is_page_of_413(answer)
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_a_body_that_only_says_it_is_too_large_is_refused_too(strict):
    answer = strict.generic("POST", reverse("login"), b"", TYPES[0], CONTENT_LENGTH="99999999999")
    assert is_page_of_413(answer)


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY"])
def test_every_method_is_limited(client, method):
    assert is_page_of_413(client.generic(method, "/polls/", b"x" * (LIMIT + 1), TYPES[0]))


def test_a_body_of_the_most_bytes_is_read(client):
    body = b"username=" + b"x" * (LIMIT - 9)
    assert client.generic("POST", reverse("login"), body, TYPES[0]).status_code == 200


@pytest.mark.parametrize("length", ["", "x", "-1", "1e9", "٣"])
def test_a_length_that_is_none_is_no_fault_of_ours(client, length):
    answer = client.generic("POST", reverse("login"), b"", TYPES[0], CONTENT_LENGTH=length)
    assert answer.status_code == 200


@pytest.mark.parametrize("is_debug", [False, True])
@pytest.mark.parametrize("sends", ["urlencoded", "multipart", "query"])
def test_too_many_fields_are_refused_with_the_same_page(client, sends, is_debug, settings, caplog):
    settings.DEBUG = is_debug
    fields = "&".join(f"f{n}=" for n in range(401))
    if sends == "query":
        answer = client.get(f"/polls/?{fields}")
    elif sends == "urlencoded":
        answer = client.generic("POST", reverse("login"), fields, TYPES[0])
    else:
        answer = client.post(reverse("login"), {f"f{n}": "" for n in range(401)})
    assert is_page_of_413(answer)
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_files_are_dropped(client, tmp_path, settings):
    settings.FILE_UPLOAD_TEMP_DIR = str(tmp_path)
    file = SimpleUploadedFile("a.txt", b"x" * 200_000)
    answer = client.post(reverse("login"), {"username": "ada", "password": "x", "file": file})
    assert answer.status_code == 200
    assert answer.wsgi_request.FILES == {}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("body", [b"--x", b"--x\r\nContent-Disposition: y", b"\xff\r\n--x--"])
def test_a_broken_upload_is_no_fault_of_ours(client, body):
    assert client.generic("POST", reverse("login"), body, TYPES[1]).status_code in {200, 400}


def test_the_administrations_form_for_the_largest_poll_fits(verified, user, settings):
    """50 choices, each with all fields of its row."""
    user.is_staff = user.is_superuser = True
    user.save()
    poll = PollFactory(choices=[f"Choice {n}" for n in range(50)])
    form = verified.get(reverse("admin:polls_poll_change", args=[poll.pk]))
    assert form.status_code == 200
    fields = form.text.count(' name="')
    assert 200 < fields < settings.DATA_UPLOAD_MAX_NUMBER_FIELDS


def test_the_largest_honest_poll_fits(settings):
    """50 answers of 200 letters outside the Latin script and the longest description."""
    fields = {f"choice{n}": "日" * 200 for n in range(50)} | {"description": "日" * 5000}
    assert len(urlencode(fields)) < settings.DATA_UPLOAD_MAX_MEMORY_SIZE
