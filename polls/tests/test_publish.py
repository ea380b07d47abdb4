from datetime import UTC, datetime

import pytest
from django.urls import reverse
from django.utils import timezone

from polls.models import Poll

from . import people
from .factories import PollFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def draft(user):
    return PollFactory(author=user, published_at=None)


def publish(browser, poll):
    response = browser.post(reverse("polls:publish", args=[poll.pk]))
    poll.refresh_from_db()
    return response


def test_a_draft_opens_now(verified, draft):
    before = timezone.now()
    response = publish(verified, draft)
    assert response["Location"] == f"/p/{draft.slug}/"
    assert before <= draft.published_at <= draft.opens_at <= timezone.now()
    assert draft.is_open


def test_a_draft_that_is_to_open_later_does(verified, draft):
    later = datetime(2126, 1, 1, tzinfo=UTC)
    Poll.objects.update(opens_at=later)
    publish(verified, draft)
    assert draft.opens_at == later
    assert "published and opens at 1 January 2126, 00:00 UTC." in verified.get("/polls/").text


def test_a_draft_whose_end_passed_is_edited_first(verified, draft):
    Poll.objects.update(closes_at=datetime(2026, 1, 2, tzinfo=UTC))
    response = publish(verified, draft)
    assert response["Location"] == f"/polls/{draft.pk}/edit/"
    assert "The end of this draft is past." in verified.get(response["Location"]).text
    assert draft.is_draft


def test_it_is_published_once(verified, draft):
    publish(verified, draft)
    published_at = draft.published_at
    assert publish(verified, draft)["Location"] == "/polls/mine/?show=open"
    assert draft.published_at == published_at


def test_to_others_it_is_not_there(draft):
    assert publish(people.verified(draft), draft).status_code == 404
    assert draft.is_draft


def test_what_is_not_there_or_in_the_trash_is_a_404(verified, draft):
    Poll.objects.update(trashed_at=timezone.now())
    assert publish(verified, draft).status_code == 404
    assert verified.post(f"/polls/{draft.pk + 1}/publish/").status_code == 404


def test_the_anonymous_and_the_unverified_are_led_through_the_gate(client, draft):
    assert publish(client, draft)["Location"] == "/login/?next=/polls/mine/"
    client.force_login(draft.author)
    assert publish(client, draft)["Location"] == "/2fa/?next=%2Fpolls%2Fmine%2F"
    assert draft.is_draft


def test_it_takes_only_a_post(verified, draft):
    assert verified.get(reverse("polls:publish", args=[draft.pk])).status_code == 405
