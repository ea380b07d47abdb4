"""Staff open, change and export what their permissions say, and no more."""

import pytest
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from polls.models import Ballot, Poll, Report
from two_factor.tests.factories import UserFactory

from . import people
from .factories import PollFactory

pytestmark = pytest.mark.django_db
NOTHING, VIEW, CHANGE, REPORTS = [], ["view_poll"], ["change_poll"], ["view_report"]
WITHOUT_CHANGE = pytest.mark.parametrize("permissions", [NOTHING, VIEW, REPORTS], ids=str)


@pytest.fixture
def poll():
    poll = PollFactory(author=UserFactory(), results_for="author", question="Tea?")
    Ballot.objects.cast(poll, "+12025550123", [poll.choices.first().pk])
    return poll


def url(name, poll):
    return reverse(f"polls:{name}", args=[poll.pk])


def closed(poll):
    poll.closes_at = timezone.now()
    poll.save()


def trashed(poll):
    poll.trashed_at = timezone.now()
    poll.save()


def drafted(poll):
    poll.published_at = None
    poll.save()


def as_it_is(poll):
    pass


ACTIONS = pytest.mark.parametrize(
    ("name", "prepare"),
    [
        ("edit", as_it_is),
        ("close", as_it_is),
        ("copy", as_it_is),
        ("trash", as_it_is),
        ("reopen", closed),
        ("publish", drafted),
        ("restore", trashed),
    ],
)
LATER = "2126-01-01T12:00"


@ACTIONS
@WITHOUT_CHANGE
def test_without_the_permission_to_change_no_poll_is_changed(poll, name, prepare, permissions):
    prepare(poll)
    browser = people.staff_who_may(*permissions)
    before = list(Poll.objects.values())
    data = {"question": "Coffee?", "closes_at": LATER, "reason": "x", "results_for": "everyone"}
    for response in [browser.get(url(name, poll)), browser.post(url(name, poll), data)]:
        assert response.status_code in {404, 405}
    assert list(Poll.objects.values()) == before


@ACTIONS
def test_the_permission_to_change_is_enough(poll, name, prepare):
    prepare(poll)
    before = list(Poll.objects.values())
    data = {"closes_at": LATER, "reason": "x", "question": poll.question}
    data |= {"choices": ["Yes", "No"], "results_for": "everyone"}
    assert people.staff_who_may("change_poll").post(url(name, poll), data).status_code == 302
    assert list(Poll.objects.values()) != before


UNSEEN = pytest.mark.parametrize(
    "fields",
    [{"published_at": None}, {"hidden_because": "It is spam."}, {"is_listed": False}],
    ids=["draft", "hidden", "by link"],
)


@UNSEEN
@pytest.mark.parametrize("name", ["ballot", "results", "integrity"])
@pytest.mark.parametrize(
    ("permissions", "status"), [(NOTHING, 404), (REPORTS, 404), (VIEW, 200), (CHANGE, 200)]
)
def test_a_poll_out_of_sight_opens_for_who_may_view_it(poll, fields, name, permissions, status):
    Poll.objects.filter(pk=poll.pk).update(**fields)
    response = people.staff_who_may(*permissions).get(url(name, poll))
    assert response.status_code == status
    share = people.staff_who_may(*permissions).get(reverse("share", args=[poll.slug]))
    assert share.status_code == (200 if fields == {"is_listed": False} else status)


@pytest.mark.parametrize("permissions", [NOTHING, VIEW, CHANGE, REPORTS], ids=str)
@pytest.mark.parametrize(
    "name", ["results_json", "results_csv", "ballots_json", "ballots_csv", "snapshot"]
)
def test_no_permission_shows_results_that_are_the_authors(poll, name, permissions):
    closed(poll)
    response = people.staff_who_may(*permissions).get(url(name, poll))
    assert response.status_code in {302, 403, 404}


@pytest.mark.parametrize("permissions", [VIEW, CHANGE], ids=str)
def test_nobody_opens_a_poll_in_the_trash(poll, permissions):
    trashed(poll)
    assert people.staff_who_may(*permissions).get(url("ballot", poll)).status_code == 404


def test_a_permission_counts_for_staff_alone(poll):
    browser = people.staff_who_may("change_poll", "view_poll")
    get_user = UserFactory._meta.model.objects
    get_user.filter(pk=browser.session["_auth_user_id"]).update(is_staff=False)
    drafted(poll)
    for name in ["ballot", "edit"]:
        assert browser.get(url(name, poll)).status_code == 404


# The administration


ADMIN = {
    "admin:index": {(): 200},
    "admin:today": {("view_poll",): 200, ("change_poll",): 200},
    "admin:polls_poll_changelist": {("view_poll",): 200, ("change_poll",): 200},
    "admin:polls_poll_add": {("add_poll",): 200},
    "admin:polls_report_changelist": {("view_report",): 200, ("change_report",): 200},
    "admin:two_factor_event_changelist": {("view_event",): 200},
    "admin:two_factor_twofactor_changelist": {("view_twofactor",): 200},
    "admin:auth_user_changelist": {("view_user",): 200},
    "admin:auth_user_add": {},
    "admin:auth_group_changelist": {("view_group",): 200},
}
SETS = [(), ("view_poll",), ("change_poll",), ("view_report",)]


@pytest.mark.parametrize("name", ADMIN)
def test_each_page_of_the_administration_asks_for_its_permission(name):
    allowed = ADMIN[name]
    for permissions in {*SETS, *allowed}:
        is_let_in = () in allowed or permissions in allowed
        response = people.staff_who_may(*permissions).get(reverse(name))
        assert response.status_code == (200 if is_let_in else 403), permissions


@pytest.mark.parametrize("permissions", [NOTHING, VIEW, REPORTS], ids=str)
@pytest.mark.parametrize("action", ["hide", "show_again"])
def test_hiding_and_showing_ask_for_the_permission_to_change(poll, permissions, action):
    hidden = "It is spam." if action == "show_again" else ""
    Poll.objects.filter(pk=poll.pk).update(hidden_because=hidden)
    report = Report.objects.create(poll=poll, reason="spam")
    browser = people.staff_who_may(*permissions)
    for page, row in [("poll", poll), ("report", report)]:
        data = {"action": action, "_selected_action": row.pk, "because": "Because."}
        browser.post(reverse(f"admin:polls_{page}_changelist"), data)
    assert Poll.objects.get(pk=poll.pk).hidden_because == hidden


@pytest.mark.parametrize("page", ["change", "delete", "history"])
def test_one_polls_pages_ask_for_their_permission(poll, page):
    address = reverse(f"admin:polls_poll_{page}", args=[poll.pk])
    for permissions in [NOTHING, REPORTS]:
        assert people.staff_who_may(*permissions).get(address).status_code == 403
    data = {"question": "Coffee?"}
    assert people.staff_who_may("view_poll").post(address, data).status_code in {200, 403}
    assert Poll.objects.get(pk=poll.pk).question == "Tea?"


# What asking costs


def test_only_staff_cost_a_query(poll):
    def queries(browser):
        with CaptureQueriesContext(connection) as captured:
            assert browser.get(url("ballot", poll)).status_code == 200
        return len(captured)

    assert queries(people.verified(poll)) == queries(people.staff(poll))
    # Those of the user and those of the user's groups.
    assert queries(people.staff_who_may()) <= queries(people.verified(poll)) + 2


def test_the_index_counts_open_reports_for_who_may_read_them(poll):
    for settled_at in [None, None, timezone.now()]:
        Report.objects.create(poll=poll, reason="spam", settled_at=settled_at)
    index, today = reverse("admin:index"), reverse("admin:today")
    text = people.staff_who_may("view_report").get(index).text
    assert "2 reports are waiting." in text
    assert today not in text
    text = people.staff_who_may("view_poll").get(index).text
    assert "waiting" not in text
    assert today in text


def test_the_index_has_polls_and_reports_first(poll):
    text = people.staff(poll).get(reverse("admin:index")).text
    names = ["polls-poll", "polls-report", "auth-user", "two_factor-twofactor", "auth-group"]
    places = [text.index(f'id="{name}"') for name in names]
    assert places[0] < places[1] < min(places[2:])


@pytest.mark.parametrize(
    ("permissions", "status"), [(NOTHING, 403), (REPORTS, 403), (VIEW, 302), (CHANGE, 302)]
)
def test_the_way_from_the_administration_to_a_poll_asks_for_its_permission(
    poll, permissions, status
):
    Poll.objects.filter(pk=poll.pk).update(is_listed=False)
    kind = ContentType.objects.get_for_model(Poll).pk
    response = people.staff_who_may(*permissions).get(f"/admin/r/{kind}/{poll.pk}/")
    assert response.status_code == status
    # The link opens the poll to everyone who has it.
    assert (poll.slug in str(response.headers) + response.text) is (status == 302)


def test_from_the_administration_nothing_else_is_led_to():
    kind, user = (ContentType.objects.get_for_model(model).pk for model in (Poll, User))
    browser = people.staff_who_may("view_poll")
    for path in [f"{user}/1", f"{kind}/0", f"{kind}/{10**30}", f"{10**30}/1", f"{kind}/x", "x/1"]:
        assert browser.get(f"/admin/r/{path}/").status_code == 404
