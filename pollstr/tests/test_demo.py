import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command

from polls.models import Poll
from two_factor.tests.factories import UserFactory

pytestmark = pytest.mark.django_db
User = get_user_model()


@pytest.fixture
def real_hasher(settings):
    settings.PASSWORD_HASHERS = ["pollstr.hashers.Argon2id"]


def load():
    call_command("loaddata", "demo", verbosity=0)


def test_three_open_polls_with_three_or_more_choices():
    load()
    polls = Poll.objects.all()
    assert {poll.pk for poll in polls} == {1, 2, 3}
    assert set(Poll.objects.open()) == set(polls)
    assert all(poll.closes_at is None and poll.choices.count() >= 3 for poll in polls)


def test_choices_are_numbered_from_one():
    load()
    for poll in Poll.objects.all():
        positions = list(poll.choices.values_list("position", flat=True))
        assert positions == list(range(1, len(positions) + 1))


def test_polls_opened_at_different_times():
    load()
    assert Poll.objects.values("opens_at").distinct().count() == 3


def test_the_user_is_an_ordinary_one():
    load()
    user = User.objects.get(username="test")
    assert (user.is_active, user.is_staff, user.is_superuser) == (True, False, False)
    assert not hasattr(user, "two_factor")


def test_the_user_signs_in_with_the_password_of_the_readme(client, real_hasher):
    load()
    kept = User.objects.get(username="test").password
    assert client.login(username="test", password="test1234")
    # Kept in the way the site keeps passwords: signing in need not hash it anew.
    assert User.objects.get(username="test").password == kept


def test_the_user_is_added_beside_those_who_are_there():
    owner = UserFactory(pk=1, username="owner", is_superuser=True)
    load()
    owner.refresh_from_db()
    assert (owner.username, owner.is_superuser) == ("owner", True)
    assert User.objects.count() == 2


def test_loading_again_changes_nothing():
    load()
    load()
    assert (Poll.objects.count(), User.objects.count()) == (3, 1)


def test_the_next_poll_and_choice_find_ids_of_their_own():
    load()
    poll = Poll.objects.create(question="What next?")
    assert poll.choices.create(text="This").pk > 3
    assert poll.pk > 3
