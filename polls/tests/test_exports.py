import csv
import json
import re
from datetime import UTC, datetime, timedelta
from html import unescape
from io import StringIO

import pytest
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from polls.csv_export import BYTE_ORDER_MARK, as_text, csv_of
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


def text(response):
    return response.getvalue().decode()


def lines(response):
    return list(csv.reader(text(response).removeprefix(BYTE_ORDER_MARK).splitlines()))


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


def test_csv_opens_in_spreadsheets(client):
    poll = PollFactory(results_for="everyone", choices=["Grün, „ja“", 'He said "no"'])
    first, *others = text(get(client, poll, "csv")).splitlines()
    # The mark says that it is UTF-8. The header has the names of the fields and nothing else.
    assert first == "\ufeffchoice_id,choice,votes,share"
    green, said = (choice.pk for choice in poll.choices.all())
    assert others == [
        f'"{green}","Grün, „ja“","0","0.0"',
        f'"{said}","He said ""no""","0","0.0"',
    ]


@pytest.mark.parametrize("is_listed", [True, False])
def test_excel_gets_semicolons_where_numbers_have_a_comma(client, poll, is_listed):
    Poll.objects.update(is_listed=is_listed)
    poll.refresh_from_db()
    german = {"accept-language": "de"}
    page = client.get(poll.url("results"), headers=german).text
    [address] = re.findall('href="([^"]*for=excel)"', page)
    answer = text(client.get(unescape(address), headers=german)).removeprefix(BYTE_ORDER_MARK)
    ids = [choice.pk for choice in poll.choices.all()]
    assert answer.splitlines() == [
        "choice_id;choice;votes;share",
        f'"{ids[0]}";"Ja";"2";"0,6667"',
        f'"{ids[1]}";"Nein";"1";"0,3333"',
        f'"{ids[2]}";"Jein";"0";"0,0"',
    ]
    # What programs read is the same in each language.
    assert lines(client.get(poll.url("results_csv"), headers=german))[1][3] == "0.6667"
    assert "for=excel" not in client.get(poll.url("results")).text


@pytest.mark.parametrize(
    ("question", "name"),
    [
        ("Tea or coffee?", 'attachment; filename="tea-or-coffee-2026-03-05.csv"'),
        ("../../etc; x=\r\n\"quote'", 'attachment; filename="etc-x-quote-2026-03-05.csv"'),
        ("Öl?", "attachment; filename*=utf-8''%C3%B6l-2026-03-05.csv"),
        ("x" * 200, f'attachment; filename="{"x" * 60}-2026-03-05.csv"'),
    ],
)
def test_the_name_of_the_file_says_what_it_is(client, time_machine, question, name):
    time_machine.move_to("2026-03-04T23:30:00Z")
    poll = PollFactory(question=question, results_for="everyone", time_zone="Europe/Berlin")
    assert get(client, poll, "csv")["Content-Disposition"] == name


def test_a_question_without_letters_names_its_file_by_the_poll(client):
    poll = PollFactory(question="❤️ / 💔?", results_for="everyone")
    name = get(client, poll, "csv")["Content-Disposition"]
    assert name.startswith(f'attachment; filename="poll-{poll.pk}-20')


@pytest.mark.parametrize(
    "start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", ' "=']
)
def test_a_spreadsheet_takes_no_text_for_a_formula(client, start):
    formula = f'{start}HYPERLINK("https://evil.example")'
    poll = PollFactory(results_for="everyone", choices=[formula, "1 - 1 = 0"])
    rows = list(csv.reader(StringIO(text(get(client, poll, "csv")), newline="")))
    assert [row[1] for row in rows[1:3]] == [f"'{formula}", "1 - 1 = 0"]


@pytest.mark.parametrize(
    ("typed", "written"),
    [
        ("+1", "+1"),
        ("-5", "-5"),
        ("-2.50", "-2.50"),
        ("-2,5 %", "-2,5 %"),
        ("+1+cmd|' /C calc'!A0", "'+1+cmd|' /C calc'!A0"),
        ("-5\t=1", "'-5\t'=1"),
        ("x;=cmd|' /C calc'!A0;", "x;'=cmd|' /C calc'!A0;"),
        ("x,＝SUM(A1)", "x,'＝SUM(A1)"),
        ('x;"=1+1', "x;'\"=1+1"),
        ("x; @SUM(A1)", "x;' @SUM(A1)"),
        ("one\u2028-two", "one\u2028'-two"),
        ("a-b=c", "a-b=c"),
    ],
)
def test_texts_are_guarded_and_numbers_left_alone(typed, written):
    assert as_text(typed) == written


@given(st.lists(st.text(st.sampled_from("ab1 ;,\t\n\r\"'=+-@＝＋－＠")), min_size=1, max_size=3))
def test_no_spreadsheet_of_any_country_finds_a_formula(texts):
    written = b"".join(csv_of([[as_text(each) for each in texts]], "x.csv").streaming_content)
    written = written.decode().removeprefix(BYTE_ORDER_MARK)
    for delimiter in ",;\t":
        for quoting in csv.QUOTE_MINIMAL, csv.QUOTE_NONE:
            read = csv.reader(StringIO(written, newline=""), delimiter=delimiter, quoting=quoting)
            for row in read:
                for cell in row:
                    seen = cell.lstrip(' \t\r\n"')
                    # Alone, or before the next cell where lines are not parted by commas.
                    is_number = re.match('[+-][0-9]+([.,][0-9]+)?(,?"|$)', seen)
                    assert not seen.startswith(tuple("=+-@＝＋－＠")) or is_number, (cell, written)


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
