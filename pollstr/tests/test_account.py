import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from phonenumber_field.phonenumber import PhoneNumber

from polls.models import Ballot
from polls.tests.factories import PollFactory
from two_factor.history import Event, record
from two_factor.recovery import RecoveryCode
from two_factor.tests.factories import UserFactory

pytestmark = pytest.mark.django_db
ACCOUNT = reverse("account")


def test_it_shows_the_number_masked(verified):
    response = verified.get(ACCOUNT)
    assert response.status_code == 200
    assert "•••• ••23" in response.text
    assert ", proven in this browser" in response.text
    assert "Prove your phone" not in response.text


def test_it_never_shows_the_number(verified):
    # However its digits are grouped; those of a clock or within a token are none of it.
    text = re.sub(r"(?<=\d)[ ().-]+(?=\d)", "", verified.get(ACCOUNT).text)
    assert not re.search(r"\b\d*(0123|20255)\d*\b", text)


def test_it_tells_a_number_proven_elsewhere(signed_in, two_factor):
    text = signed_in.get(ACCOUNT).text
    assert "•••• ••23" in text
    assert "not proven in this browser yet" in text
    assert 'href="/2fa/">Prove your phone</a>' in text


def test_it_tells_that_no_number_is_proven(signed_in):
    text = signed_in.get(ACCOUNT).text
    assert "none proven yet" in text
    assert 'href="/2fa/">Prove your phone</a>' in text


def test_it_shows_name_and_email(signed_in, user):
    assert "none; without one a forgotten password cannot be reset" in signed_in.get(ACCOUNT).text
    user.email = "ada@example.com"
    user.save(update_fields=["email"])
    text = signed_in.get(ACCOUNT).text
    assert "<dd>ada</dd>" in text
    assert "<dd>ada@example.com</dd>" in text


def test_it_sends_the_anonymous_to_sign_in(client):
    response = client.get(ACCOUNT)
    assert response.status_code == 302
    assert response["Location"] == "/login/?next=/account/"


def test_it_can_only_be_read(signed_in):
    response = signed_in.post(ACCOUNT)
    assert response.status_code == 405
    assert response["Allow"] == "GET, HEAD, OPTIONS"


def test_it_is_kept_out_of_caches(signed_in):
    assert "no-store" in signed_in.get(ACCOUNT)["Cache-Control"]


def test_it_counts_the_recovery_codes_left(verified, user):
    code, *_ = RecoveryCode.objects.renew(user)
    RecoveryCode.objects.use(user, code)
    RecoveryCode.objects.renew(UserFactory())
    assert "<dd>9 unused</dd>" in verified.get(ACCOUNT).text


def test_it_leads_to_recovery_codes_where_there_are_none(verified):
    text = verified.get(ACCOUNT).text
    assert '<a href="/2fa/recovery-codes/?next=/account/">make some</a>' in text


def test_it_offers_no_recovery_codes_before_a_number_is_proven(signed_in):
    text = signed_in.get(ACCOUNT).text
    assert "ecovery codes" not in text
    assert "Change the number" not in text


def test_it_leads_to_another_number_and_back(verified):
    assert 'href="/2fa/change/?next=/account/">Change the number' in verified.get(ACCOUNT).text


def test_it_tells_what_happened_newest_first(signed_in, user):
    record(Event.Kind.STARTED, user, number=PhoneNumber.from_string("+12025550123"))
    record(Event.Kind.LOCKED, user)
    text = signed_in.get(ACCOUNT).text
    assert text.index("<td>locked</td>") < text.index("<td>code sent</td>")
    assert "•••• ••23" in text
    assert "5550123" not in text


def test_it_tells_nothing_of_others(signed_in):
    record(Event.Kind.LOCKED, UserFactory())
    record(Event.Kind.LOCKED, None)
    text = signed_in.get(ACCOUNT).text
    assert "<td>locked</td>" not in text
    assert "What happened lately" not in text


def test_it_tells_the_twenty_newest_events(signed_in, user):
    for _ in range(21):
        record(Event.Kind.STARTED, user)
    assert signed_in.get(ACCOUNT).text.count("<td>code sent</td>") == 20


def test_its_queries_do_not_grow_with_events(signed_in, user, django_assert_max_num_queries):
    record(Event.Kind.STARTED, user)
    with CaptureQueriesContext(connection) as one:
        signed_in.get(ACCOUNT)
    record(Event.Kind.STARTED, user)
    record(Event.Kind.LOCKED, user)
    with django_assert_max_num_queries(len(one)):
        signed_in.get(ACCOUNT)


def test_it_lists_the_polls_the_number_voted_in(verified):
    mine, other = PollFactory(question="Mine?"), PollFactory(question="Not mine?")
    Ballot.objects.cast(mine, "+12025550123", [mine.choices.first().pk])
    Ballot.objects.cast(other, "+12025550199", [other.choices.first().pk])
    page = verified.get(reverse("account")).text
    assert f'<a href="/polls/{mine.pk}/results/">Mine?</a>' in page
    assert "Not mine?" not in page


def test_without_a_proof_in_this_browser_no_votes_are_listed(signed_in, two_factor):
    poll = PollFactory(question="Mine?")
    Ballot.objects.cast(poll, "+12025550123", [poll.choices.first().pk])
    assert "Mine?" not in signed_in.get(reverse("account")).text
