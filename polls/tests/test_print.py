import pytest
from django.urls import reverse

from .factories import PollFactory

pytestmark = pytest.mark.django_db


def test_it_shows_what_a_passer_by_needs(client):
    poll = PollFactory(question="Tea or coffee?", choices=["Tea", "Coffee"])
    text = client.get(reverse("print", args=[poll.slug])).text
    assert '<h1 dir="auto">Tea or coffee?</h1>' in text
    assert '<li dir="auto">Tea</li><li dir="auto">Coffee</li>' in text
    assert f'<img src="/p/{poll.slug}/qr.svg"' in text
    assert f'<p class="poster-link">testserver/p/{poll.slug}/</p>' in text
    assert "<nav" not in text


def test_a_poll_of_many_answers_costs_no_more(client, django_assert_num_queries):
    for count in [2, 10]:
        poll = PollFactory(choices=[str(n) for n in range(count)])
        with django_assert_num_queries(2):
            client.get(reverse("print", args=[poll.slug]))
