"""The administration on a screen of 1280 pixels."""

import pytest

from polls.tests import people
from polls.tests.factories import PollFactory
from two_factor.tests.factories import UserFactory

from .conftest import DESKTOP

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_list_of_polls_shows_votes_and_reports_without_scrolling(live_server, page):
    author = UserFactory(username="an-author-with-a-long-name")
    PollFactory(question="Shall the library by the river open on Sundays? " * 4, author=author)
    session = people.staff(None).cookies["sessionid"].value
    page.context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
    page.set_viewport_size(DESKTOP)
    page.goto(f"{live_server.url}/admin/polls/poll/")
    for column in ["votes", "reports"]:
        box = page.locator(f"td.field-{column}").bounding_box()
        assert box["x"] + box["width"] < DESKTOP["width"]
    assert page.locator("th.field-question").bounding_box()["width"] > 200
    page_width = page.evaluate("document.documentElement.scrollWidth")
    assert page_width <= DESKTOP["width"]
    # Django's own script keeps the chosen theme there, which the fixture would report.
    page.evaluate("localStorage.clear()")
