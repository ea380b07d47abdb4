import csv
import json
from datetime import UTC, datetime, timedelta

import pytest
from django.urls import reverse

from polls.models import Ballot, Poll

from .factories import PollFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def poll():
    poll = PollFactory(question="Öl?", results_for="everyone", choices=["Ja", "Nein", "Jein"])
    ja, nein, _ = poll.choices.all()
    for n, choice in enumerate([ja, nein, ja]):
        Ballot.objects.cast(poll, f"+1202555000{n}", [choice.pk])
    return poll


def get(client, poll, kind):
    return client.get(reverse(f"polls:results_{kind}", args=[poll.pk]))


def lines(response):
    return list(csv.reader(response.getvalue().decode().splitlines()))


def test_json_says_what_the_page_says(client, poll):
    answer = get(client, poll, "json").json()
    ja, nein, jein = (choice.pk for choice in poll.choices.all())
    assert answer["question"] == {
        "id": poll.pk,
        "text": "Öl?",
        "open": True,
        "opens_at": "2026-01-01T00:00:00Z",
        "closes_at": None,
    }
    assert answer["voters"] == 3
    assert answer["choices"] == [
        {"id": ja, "text": "Ja", "votes": 2, "share": 0.6667},
        {"id": nein, "text": "Nein", "votes": 1, "share": 0.3333},
        {"id": jein, "text": "Jein", "votes": 0, "share": 0},
    ]
    assert answer["summary"] == "“Ja” has the most votes: 2."
    assert answer.keys() == {"question", "voters", "choices", "summary", "counted_at"}


def test_json_says_when_it_was_counted(client, poll):
    counted_at = datetime.fromisoformat(get(client, poll, "json").json()["counted_at"])
    assert timedelta(0) <= datetime.now(UTC) - counted_at < timedelta(minutes=1)


def test_json_of_a_closed_poll_says_so(client):
    closes_at = datetime(2026, 1, 2, 18, 30, tzinfo=UTC)
    poll = PollFactory(results_for="everyone", closes_at=closes_at)
    question = json.loads(get(client, poll, "json").content)["question"]
    assert question["open"] is False
    assert question["closes_at"] == "2026-01-02T18:30:00Z"


def test_csv_has_a_line_a_choice_in_the_ballots_order(client, poll):
    poll.choices.filter(text="Jein").update(position=0)
    poll.choices.filter(text="Ja").update(position=2)
    ids = {choice.text: str(choice.pk) for choice in poll.choices.all()}
    assert lines(get(client, poll, "csv")) == [
        ["choice_id", "choice", "votes", "share"],
        [ids["Jein"], "Jein", "0", "0.0"],
        [ids["Nein"], "Nein", "1", "0.3333"],
        [ids["Ja"], "Ja", "2", "0.6667"],
    ]


def test_csv_is_streamed_in_utf_8(client):
    response = get(client, PollFactory(results_for="everyone", choices=["Öl", "油"]), "csv")
    assert response.streaming
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response["Content-Disposition"].startswith("attachment; filename=")
    assert [line[1] for line in lines(response)] == ["choice", "Öl", "油"]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_a_spreadsheet_takes_no_text_for_a_formula(client, start):
    text = f'{start}HYPERLINK("https://evil.example")'
    poll = PollFactory(results_for="everyone", choices=[text, "1 - 1 = 0"])
    rows = list(csv.reader(get(client, poll, "csv").getvalue().decode().split("\r\n")))
    assert [row[1] for row in rows[1:3]] == [f"'{text}", "1 - 1 = 0"]


@pytest.mark.parametrize("kind", ["json", "csv"])
def test_an_export_can_only_be_read(client, poll, kind):
    assert client.post(reverse(f"polls:results_{kind}", args=[poll.pk])).status_code == 405


@pytest.mark.parametrize("kind", ["json", "csv"])
def test_an_export_that_is_not_public_is_kept_out_of_caches(verified, poll, kind):
    Poll.objects.update(results_for="verified")
    assert "no-store" in get(verified, poll, kind)["Cache-Control"]


def test_a_public_export_is_kept_out_of_caches_or_asked_about_each_time(client, poll):
    assert "no-store" in get(client, poll, "csv")["Cache-Control"]
    assert get(client, poll, "json")["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("kind", ["json", "csv"])
def test_a_poll_that_is_not_there_is_a_404(client, kind):
    assert client.get(f"/polls/99/results.{kind}").status_code == 404
