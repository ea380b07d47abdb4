"""The script with which docs/voting.md lets anybody check a frozen count."""

import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from hashlib import sha256

import pytest
from django.conf import settings
from django.urls import reverse

from polls.models import Ballot, Poll
from polls.tests.factories import PollFactory

pytestmark = pytest.mark.django_db
BEFORE = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
def script():
    text = (settings.BASE_DIR / "docs" / "voting.md").read_text()
    [found] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    return found


@pytest.fixture
def closed_poll():
    poll = PollFactory(question="Tea, “coffee” or ☕?", results_for="everyone", max_choices=2)
    yes, no = poll.choices.all()
    Ballot.objects.cast(poll, "+12025550123", [yes.pk, no.pk])
    Ballot.objects.cast(poll, "+12025550124", [no.pk])
    Poll.objects.filter(pk=poll.pk).update(closes_at=BEFORE)
    return poll


@pytest.fixture
def download(client, closed_poll):
    return client.get(reverse("polls:snapshot", args=[closed_poll.pk])).content


def run(script, folder, body, expected):
    (folder / "snapshot.json").write_bytes(body)
    (folder / "check.py").write_text(script)
    command = [sys.executable, "check.py", "snapshot.json", expected]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def sha256_on_the_page(client, poll):
    page = client.get(reverse("polls:integrity", args=[poll.pk])).text
    return re.search(r"\b[0-9a-f]{64}\b", page)[0]


def test_it_is_short(script):
    assert len([line for line in script.splitlines() if line]) <= 10


def test_it_confirms_what_was_frozen(script, client, closed_poll, download, tmp_path):
    done = run(script, tmp_path, download, sha256_on_the_page(client, closed_poll))
    assert done.stdout == "2 voters, 3 votes: as frozen\n", done.stderr


def test_it_confirms_a_poll_without_votes(script, client, tmp_path):
    poll = PollFactory(results_for="everyone", closes_at=BEFORE)
    body = client.get(reverse("polls:snapshot", args=[poll.pk])).content
    done = run(script, tmp_path, body, sha256_on_the_page(client, poll))
    assert done.stdout == "0 voters, 0 votes: as frozen\n", done.stderr


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        (b'"voters":2', b'"voters":3', "not what was frozen"),
        (b'"voters":2', b'"voters": 2', "not in canonical form"),
    ],
)
def test_it_tells_what_was_changed(
    script, client, closed_poll, download, tmp_path, before, after, fault
):
    assert before in download
    changed = download.replace(before, after)
    done = run(script, tmp_path, changed, sha256_on_the_page(client, closed_poll))
    assert done.returncode == 1
    assert fault in done.stderr


def test_it_tells_of_more_votes_than_the_voters_have(script, download, tmp_path):
    body = download.replace(b'"voters":2', b'"voters":1')
    done = run(script, tmp_path, body, sha256(body).hexdigest())
    assert "voters do not match votes" in done.stderr


def test_whoever_counts_the_ballots_again_as_told_gets_the_count(client, closed_poll, tmp_path):
    yes, no = closed_poll.choices.all()
    Poll.objects.update(closes_at=None)
    for n in range(18):
        Ballot.objects.cast(closed_poll, f"+1202555{n:04}", [yes.pk])
    Poll.objects.update(closes_at=BEFORE)
    text = (settings.BASE_DIR / "docs" / "voting.md").read_text()
    [recount] = re.findall(r'```sh\npython3 -c "\n(.*?)"\n```', text, re.DOTALL)
    ballots = client.get(reverse("polls:ballots_json", args=[closed_poll.pk])).getvalue()
    (tmp_path / "poll-7-ballots.json").write_bytes(ballots)
    command = [sys.executable, "-c", recount]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout == f"20 Counter({{{yes.pk}: 19, {no.pk}: 2}})\n", done.stderr


def test_results_json_is_as_its_page_tells(client, closed_poll):
    text = (settings.BASE_DIR / "docs" / "results-json.md").read_text()
    told = json.loads(re.search(r"```json\n(.*?)```", text, re.DOTALL)[1])
    answer = client.get(reverse("polls:results_json", args=[closed_poll.pk])).json()
    assert keys(answer) == keys(told)


def keys(answer):
    parts = [answer, answer["question"], answer["choices"][0]]
    return [list(part) for part in parts]
