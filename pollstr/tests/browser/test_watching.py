"""Results that move while somebody looks at them."""

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone, translation
from django.utils.formats import get_format
from playwright.sync_api import expect

from conftest import verify
from polls import results, watching
from polls.models import Ballot, Poll
from polls.shares import are_rounded, percents
from polls.tests.factories import PollFactory
from two_factor.tests.factories import TwoFactorFactory

from .steps import press

HIDE = """(isHidden) => {
    Object.defineProperty(document, "hidden", {configurable: true, get: () => isHidden});
    document.dispatchEvent(new Event("visibilitychange"));
}"""
STATE = """[...document.querySelectorAll(".bar-number, progress, .summary, [data-voters]")]
    .map((part) => [part.textContent, part.value, part.max])"""
TOPS = "[...document.querySelectorAll('.bars li, .summary, .actions')].map((e) => e.offsetTop)"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Ask ten times a second, and have the shared copy made anew for each."""
    cache.clear()
    monkeypatch.setattr(results, "ASK_EVERY", 0.1)
    monkeypatch.setattr(results, "TELL_EVERY", 0)
    monkeypatch.setattr(watching, "ANEW", 0)


@pytest.fixture
def poll(db):
    return PollFactory(choices=["Red", "Green", "Blue"], results_for="everyone")


@pytest.fixture
def shown(page, poll):
    """The page of the results, as anybody sees it."""
    page.goto(poll.url("results"))
    return page


def numbers(page):
    return page.locator(".bar-number")


def cast(poll, text, *voters):
    for n in voters:
        Ballot.objects.cast(poll, f"+1202555{n:04}", [poll.choices.get(text=text).pk])


def requests_of(page):
    """Collect the requests for results from now on."""
    asked = []
    page.on("request", lambda request: "results.json" in request.url and asked.append(request))
    return asked


def voter_in(new_context, base_url):
    """Open another browser, whose user has proven a phone."""
    client, two_factor = Client(), TwoFactorFactory()
    client.force_login(two_factor.user)
    verify(client, two_factor)
    context = new_context()
    session = client.cookies["sessionid"].value
    context.add_cookies([{"name": "sessionid", "value": session, "url": base_url}])
    return context.new_page()


@pytest.mark.parametrize("rule", ["everyone", "verified"])
def test_it_moves_while_another_browser_votes(
    page, poll, verified, enter, new_context, base_url, rule
):
    Poll.objects.update(results_for=rule)
    enter(verified)
    page.goto(poll.url("results"))
    expect(numbers(page)).to_have_text(["0 votes · 0 %"] * 3)
    before = page.evaluate(TOPS)
    other = voter_in(new_context, base_url)
    other.goto(f"{base_url}{poll.get_absolute_url()}")
    other.get_by_label("Green").check()
    press(other, "Vote")
    expect(numbers(page)).to_have_text(["0 votes · 0 %", "1 vote · 100 %", "0 votes · 0 %"])
    expect(page.locator("[data-summary]")).to_have_text("“Green” has the most votes: 1.")
    expect(page.get_by_text("1 voter, one verified phone number each.")).to_be_visible()
    assert page.get_by_role("progressbar", name="Green").evaluate("e => [e.value, e.max]") == [1, 1]
    assert page.evaluate(TOPS) == before


@pytest.mark.parametrize(
    "votes", [[1, 1, 0], [1, 0, 0], [2, 2, 2], [1, 5, 10], [1, 2, 3], [2, 1, 4]]
)
def test_it_shows_what_a_fresh_page_shows(shown, poll, votes):
    voters = iter(range(100))
    for text, count in zip(["Red", "Green", "Blue"], votes, strict=True):
        cast(poll, text, *[next(voters) for _ in range(count)])
    expect(shown.locator("[data-voters]")).to_contain_text(f"{sum(votes)} voter")
    moved = shown.evaluate(STATE)
    shown.reload()
    assert shown.evaluate(STATE) == moved


@pytest.mark.parametrize("language", ["en", "de", "fr", "ar"])
def test_the_script_writes_percentages_as_the_site_does(page, poll, language):
    with translation.override(language):
        decimal = get_format("DECIMAL_SEPARATOR")
        tables = [[7919 * n % (n + 1), n] for n in range(1, 400)]
        tables += [[votes, 10**7] for votes in [1, 5000, 9_995_000, 9_999_999, 10**7]]
        written = [
            [percents([votes, 0], voters), percents([votes], voters)] for votes, voters in tables
        ]
        rounded = [are_rounded([votes, 0], voters) for votes, voters in tables]
    page.goto(poll.url("results"))
    told = page.evaluate(
        """([tables, decimal]) => tables.map(([votes, voters]) => [
            [percents([votes, 0], voters, decimal), percents([votes], voters, decimal)],
            areRounded([votes, 0], voters),
        ])""",
        [tables, decimal],
    )
    assert told == [list(pair) for pair in zip(written, rounded, strict=True)]


def test_the_turnout_is_said_to_be_older_once_the_numbers_moved(page, poll):
    cast(poll, "Red", 1)
    page.goto(poll.url("results"))
    older = page.get_by_text("The turnout is older than the results above.")
    expect(page.locator("[data-live]")).to_have_text("Live")
    expect(older).to_be_hidden()
    cast(poll, "Red", 2)
    expect(older).to_be_visible()
    page.reload()
    expect(older).to_be_hidden()


def test_changes_are_read_out(shown, poll):
    told = shown.locator("[data-told]")
    expect(told).to_have_role("status")
    expect(told).to_have_text("")
    cast(poll, "Red", 1)
    expect(told).to_have_text("1 voter. “Red” has the most votes: 1.")
    cast(poll, "Blue", 2)
    expect(told).to_have_text("2 voters. It is a tie: “Red” and “Blue” have 1 vote each.")


def test_changes_are_read_out_no_more_often_than_people_can_listen(page, poll, monkeypatch):
    monkeypatch.setattr(results, "TELL_EVERY", 1000)
    page.goto(poll.url("results"))
    for n in range(1, 4):
        cast(poll, "Red", n)
        expect(page.locator("[data-summary]")).to_have_text(f"“Red” has the most votes: {n}.")
    expect(page.locator("[data-told]")).to_have_text("1 voter. “Red” has the most votes: 1.")


def test_the_bars_that_are_ahead_are_marked_anew(shown, poll):
    ahead = shown.locator(".leads .bar-label > :first-child")
    cast(poll, "Red", 1)
    expect(ahead).to_have_text(["Red"])
    cast(poll, "Blue", 2)
    expect(ahead).to_have_text(["Red", "Blue"])
    cast(poll, "Blue", 3)
    expect(ahead).to_have_text(["Blue"])


def test_nothing_is_read_out_while_nothing_changes(shown, poll):
    asked = requests_of(shown)
    while len(asked) < 5:
        shown.wait_for_timeout(50)
    expect(shown.locator("[data-told]")).to_have_text("")


def test_it_asks_under_a_condition(shown, poll):
    with shown.expect_response(lambda response: response.status == 304) as answer:
        pass
    assert answer.value.request.headers["if-none-match"].startswith('W/"')


def test_it_stops_at_the_close_with_the_final_numbers(shown, poll):
    cast(poll, "Red", 1)
    Poll.objects.update(closes_at=timezone.now() - timedelta(seconds=1))
    final = "Voting has closed. These are the final numbers."
    expect(shown.locator("[data-live]")).to_have_text(final)
    expect(shown.locator("[data-told]")).to_have_text(final)
    expect(numbers(shown).first).to_have_text("1 vote · 100 %")
    expect(shown.get_by_role("link", name="Refresh")).to_be_visible()
    expect(shown.get_by_role("link", name="Vote", exact=True)).to_be_hidden()
    asked = requests_of(shown)
    shown.wait_for_timeout(500)
    assert not asked


@pytest.mark.parametrize(
    ("fields", "status"),
    [({"results_for": "author"}, None), ({"hidden_because": "It is spam."}, 404)],
)
def test_it_stops_when_the_results_are_taken_away(shown, poll, refusals, fields, status):
    refusals.add((status, f"/polls/{poll.pk}/results.json"))
    cast(poll, "Red", 1)
    Poll.objects.update(**fields)
    expect(shown.locator("[data-live]")).to_have_text(
        "These results are not kept up to date here any more."
    )
    asked = requests_of(shown)
    shown.wait_for_timeout(500)
    assert not asked


def test_it_stops_when_the_key_does_not_count_any_more(page, poll, verified, enter, refusals):
    refusals.add((403, f"/polls/{poll.pk}/results.json"))
    Poll.objects.update(results_for="verified")
    enter(verified)
    page.goto(poll.url("results"))
    Poll.objects.update(results_for="voters")
    expect(page.locator("[data-live]")).to_have_text(
        "These results are not kept up to date here any more."
    )


def test_it_stops_when_the_answers_are_other_ones(shown, poll):
    poll.choices.get(text="Blue").delete()
    expect(shown.locator("[data-live]")).to_have_text("The answers of this poll have changed.")
    expect(shown.get_by_role("link", name="Refresh")).to_be_visible()


def test_it_asks_nothing_while_nobody_looks(shown, poll):
    expect(shown.locator("[data-live]")).to_have_text("Live")
    shown.evaluate(HIDE, True)
    shown.wait_for_timeout(300)
    asked = requests_of(shown)
    cast(poll, "Red", 1)
    shown.wait_for_timeout(500)
    assert not asked
    shown.evaluate(HIDE, False)
    expect(numbers(shown).first).to_have_text("1 vote · 100 %")


def test_it_goes_on_after_errors_and_says_so_meanwhile(shown, poll, refusals):
    refusals.add((503, f"/polls/{poll.pk}/results.json"))
    shown.route("**/results.json", lambda route: route.fulfill(status=503))
    hint = shown.locator("[data-live]")
    expect(hint).to_have_text("The site does not answer. Trying again.")
    expect(shown.get_by_role("link", name="Refresh")).to_be_visible()
    cast(poll, "Red", 1)
    shown.unroute("**/results.json")
    expect(hint).to_have_text("Live")
    expect(numbers(shown).first).to_have_text("1 vote · 100 %")


def test_it_asks_less_often_the_longer_errors_last(shown, poll, refusals):
    refusals.add((503, f"/polls/{poll.pk}/results.json"))
    shown.route("**/results.json", lambda route: route.fulfill(status=503))
    asked = requests_of(shown)
    shown.wait_for_timeout(3000)
    # Without waiting longer it would be thirty.
    assert 1 < len(asked) <= 8


@pytest.mark.parametrize("browser_context_args", [{"java_script_enabled": False}], indirect=True)
def test_without_scripts_there_is_a_link(shown, poll):
    expect(shown.get_by_text("Live", exact=True)).to_be_hidden()
    cast(poll, "Red", 1)
    shown.get_by_role("link", name="Refresh").click()
    expect(numbers(shown).first).to_have_text("1 vote · 100 %")


def test_its_page_is_in_order(shown, poll, audit):
    audit("live, no votes")
    cast(poll, "Red", 1, 2)
    expect(numbers(shown).first).to_have_text("2 votes · 100 %")
    shown.reload()
    shown.get_by_text("Turn-out as a table").click()
    audit("live, the table open")
    Poll.objects.update(closes_at=timezone.now() - timedelta(seconds=1))
    expect(shown.locator("[data-live]")).to_contain_text("final numbers")
    audit("closed while looked at")
    shown.reload()
    audit("closed")
