"""Every page in every state, read by axe at both widths and fitted onto the smallest screen."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.contrib.auth.tokens import default_token_generator
from django.core.cache import cache
from django.utils import timezone
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode
from playwright.sync_api import expect

from polls.listing import PollListView
from polls.models import Ballot, Poll
from polls.tests.factories import PollFactory
from two_factor.models import DAY, Limit, Verification

from . import steps
from .steps import press

ENDLESS = "W" * 200


@pytest.fixture
def upcoming_poll(db):
    return PollFactory(question="Who comes next?", opens_at=datetime(2100, 1, 1, tzinfo=UTC))


@pytest.fixture
def closed_poll(db):
    return PollFactory(question="Who came last?", closes_at=datetime(2026, 1, 2, tzinfo=UTC))


def vote(poll, number, choice):
    Ballot.objects.cast(poll, number, [poll.choices.get(text=choice).pk])


def test_the_list_without_polls(page, db, audit):
    for show in ["open", "upcoming", "closed"]:
        page.goto(f"/polls/?show={show}")
        audit(f"{show}, none")


def test_the_list(page, poll, upcoming_poll, closed_poll, audit):
    for query in ["", "?show=upcoming", "?show=closed", "?q=colour", "?q=nowhere", "?q=%26"]:
        page.goto(f"/polls/{query}")
        audit(query)


def test_the_list_in_pages(page, db, audit):
    PollFactory.create_batch(41)
    page.goto("/polls/?page=2")
    audit("page 2 of 3")
    page.goto("/polls/?q=poll+is+this+a+yes+no+i+t+th+thi+po")
    audit("more words than are looked for")


def test_signing_in(page, user, audit):
    page.goto("/login/?next=/polls/1/%3Fchoice%3D1")
    audit("empty")
    press(page, "Sign in")
    audit("nothing typed")
    page.get_by_label("Username").fill("ada")
    page.get_by_label("Password").fill("wrong")
    press(page, "Sign in")
    audit("wrong password")


def test_registering(page, user, audit):
    page.goto("/register/")
    audit("empty")
    page.get_by_label("Username").fill("ada")
    page.get_by_label("Email").fill("nowhere")
    page.get_by_label("Password", exact=True).fill("1234")
    page.get_by_label("Password again").fill("4321")
    press(page, "Register")
    audit("errors")


def test_a_forgotten_password(page, user, audit):
    page.goto("/password_reset/")
    audit("asking")
    page.get_by_label("Email").fill("nowhere")
    press(page, "Send me the link")
    audit("junk address")
    page.get_by_label("Email").fill("ada@example.com")
    press(page, "Send me the link")
    audit("mail sent")


def test_the_link_to_a_new_password(page, user, audit):
    token = default_token_generator.make_token(user)
    link = f"/reset/{urlsafe_base64_encode(force_bytes(user.pk))}/{token}/"
    page.goto(link)
    audit("good link")
    press(page, "Set the password")
    audit("nothing typed")
    for label in ["New password", "New password confirmation"]:
        page.get_by_label(label, exact=True).fill("a horse of correct battery")
    press(page, "Set the password")
    audit("set")
    page.goto(link)
    audit("used link")


def test_changing_the_password(page, signed_in, enter, audit):
    enter(signed_in)
    page.goto("/password_change/")
    audit("asking")
    press(page, "Change the password")
    audit("nothing typed")
    page.goto("/password_change/done/")
    audit("done")


def test_the_phone_page(page, signed_in, enter, audit):
    enter(signed_in)
    page.goto("/2fa/?next=/polls/1/%3Fchoice%3D1")
    audit("asking")
    steps.type_number(page, "+49 30 901820")
    audit("country refused")


def test_the_phone_page_with_a_proven_number(page, signed_in, two_factor, enter, audit):
    enter(signed_in)
    page.goto("/2fa/")
    audit("proven elsewhere")


def test_the_phone_page_after_the_code(page, verified, enter, audit):
    enter(verified)
    page.goto("/2fa/")
    audit("verified")
    page.goto("/account/")
    audit("account, verified")


def test_the_phone_page_while_voting_is_paused(page, signed_in, enter, settings, audit):
    settings.DEBUG = False
    enter(signed_in)
    page.goto("/2fa/")
    audit("paused")
    page.goto("/account/")
    audit("account, nothing proven")


def test_the_code_page(page, signed_in, enter, audit):
    enter(signed_in)
    page.goto("/2fa/?next=/polls/1/%3Fchoice%3D1")
    steps.ask_for_code(page)
    audit("message")
    steps.type_code(page, "123")
    audit("short code")
    press(page, "Call me instead")
    audit("call")


def test_the_code_page_when_it_is_too_soon(page, signed_in, user, enter, refusals, audit):
    refusals.add((429, "/2fa/resend/"))
    enter(signed_in)
    page.goto("/2fa/")
    steps.ask_for_code(page)
    next_send_at = timezone.now() + timedelta(minutes=1)
    user.two_factor.row().update(next_send_at=next_send_at)
    press(page, "Send a new code")
    audit("429")
    page.goto("/2fa/verify/")
    audit("counting down")


def test_a_message_that_was_not_delivered(page, signed_in, enter, audit):
    enter(signed_in)
    page.goto("/2fa/")
    steps.ask_for_code(page)
    Verification.objects.update(is_undelivered=True)
    page.reload()
    audit("not delivered")


def test_recovery_codes(page, verified, enter, audit):
    enter(verified)
    page.goto("/2fa/recovery-codes/")
    audit("none yet")
    press(page, "Make ten new codes")
    audit("shown")
    page.goto("/2fa/recover/")
    audit("asking for one")
    page.get_by_label("Recovery code").fill("not one of them")
    press(page, "Use this code")
    audit("wrong")
    page.goto("/account/")
    audit("the account, with what happened")


def test_another_number(page, verified, enter, audit):
    enter(verified)
    page.goto("/2fa/change/")
    audit("asking")
    page.get_by_label("New phone number").fill("junk")
    page.get_by_label("Your password").fill("wrong")
    press(page, "Send a code to the new number")
    audit("errors")


def test_the_limits(page, db, audit):
    page.goto("/2fa/limits/")
    audit("limits")


def test_the_ballot(page, poll, verified, enter, audit):
    enter(verified)
    page.goto(poll.get_absolute_url())
    audit("nothing picked")
    press(page, "Vote")
    audit("vote without an answer")
    page.goto(f"{poll.get_absolute_url()}?choice={poll.choices.first().pk}")
    audit("answer picked before")


def test_the_page_that_is_shared(page, poll, upcoming_poll, closed_poll, audit):
    for shared in [poll, upcoming_poll, closed_poll]:
        page.goto(f"/p/{shared.slug}/")
        audit(shared.question)
    page.goto(f"/p/{poll.slug}/print/")
    audit("sheet to print")


@pytest.mark.parametrize("fields", [{"published_at": None}, {"hidden_because": "It is spam."}])
def test_the_page_that_nobody_else_sees(page, verified, user, enter, fields, audit):
    draft = PollFactory(author=user, **fields)
    enter(verified)
    page.goto(f"/p/{draft.slug}/")
    audit(str(fields))


def test_reporting_a_poll(page, poll, verified, enter, audit):
    enter(verified)
    page.goto(poll.get_absolute_url())
    page.get_by_role("link", name="Report this poll").click()
    audit("asking")
    press(page, "Send the report")
    audit("no reason")
    page.get_by_label("It advertises something").check()
    press(page, "Send the report")
    audit("thanked")


def test_a_hidden_poll(page, poll, verified, user, enter, audit):
    Poll.objects.filter(pk=poll.pk).update(author=user, hidden_because="It is spam.")
    enter(verified)
    page.goto(poll.get_absolute_url())
    audit("its author")


def test_a_ballot_that_is_not_open(page, upcoming_poll, closed_poll, verified, enter, audit):
    enter(verified)
    page.goto(upcoming_poll.get_absolute_url())
    audit("upcoming")
    page.goto(closed_poll.get_absolute_url())
    audit("closed")


def test_a_vote_that_came_too_late(page, poll, verified, enter, refusals, audit):
    refusals.add((409, f"/polls/{poll.pk}/vote/"))
    enter(verified)
    page.goto(poll.get_absolute_url())
    page.get_by_label("Red").check()
    poll.closes_at = timezone.now()
    poll.save()
    press(page, "Vote")
    audit("409")


def test_the_results(page, poll, verified, two_factor, enter, audit):
    enter(verified)
    page.goto(f"/polls/{poll.pk}/results/")
    audit("no votes")
    vote(poll, "+12025550177", "Blue")
    page.reload()
    audit("one vote")
    page.goto(poll.get_absolute_url())
    page.get_by_label("Red").check()
    press(page, "Vote")
    audit("own vote")
    page.get_by_role("link", name="Change my vote").click()
    audit("ballot with a vote")


def test_several_answers(page, verified, enter, audit):
    poll = PollFactory(choices=["Red", "Green", "Blue"], min_choices=2, max_choices=3)
    enter(verified)
    page.goto(f"/polls/{poll.pk}/")
    audit("nothing picked")
    page.get_by_label("Red").check()
    press(page, "Vote")
    audit("too few")
    page.get_by_label("Blue").check()
    press(page, "Vote")
    audit("counted, with its receipt")
    page.get_by_role("status").get_by_role("link").click()
    audit("receipt")


def test_the_integrity_of_a_count(page, poll, closed_poll, db, audit):
    vote(poll, "+12025550123", "Red")
    page.goto(f"/polls/{poll.pk}/integrity/")
    audit("open")
    page.goto(f"/polls/{closed_poll.pk}/integrity/")
    audit("frozen")


def test_making_a_poll(page, verified, user, enter, settings, refusals, audit):
    settings.POLLS_PER_DAY = 1
    Limit.objects.add("polls", user.pk, DAY)
    refusals.add((429, "/polls/new/"))
    enter(verified)
    page.goto("/polls/new/")
    for fold in page.locator("details:not([open]) > summary").all():
        fold.click()
    audit("empty")
    press(page, "Publish")
    audit("nothing typed")
    page.get_by_label("Question").fill("Tea?")
    for number, text in enumerate(["Tea", "tea", ENDLESS * 2], start=1):
        page.get_by_label(f"Choice {number}").fill(text)
    for fold in page.locator("details:not([open]) > summary").all():
        fold.click()
    page.get_by_label("Closes").fill("2026-01-01T12:00")
    page.get_by_label("Fewest answers").fill("0")
    press(page, "Publish")
    audit("errors")
    for number, text in enumerate(["Coffee", "Water"], start=2):
        page.get_by_label(f"Choice {number}").fill(text)
    page.get_by_label("Closes").fill("")
    page.get_by_label("Fewest answers").fill("1")
    press(page, "Publish")
    audit("429")


def test_editing_a_poll(page, poll, verified, user, enter, audit):
    Poll.objects.update(author=user)
    enter(verified)
    page.goto(f"/polls/{poll.pk}/edit/")
    audit("before the first vote")
    vote(poll, "+12025550177", "Red")
    page.reload()
    audit("after the first vote")
    page.get_by_label("Question").fill("Something else?")
    page.get_by_label("Choice 1").fill("Black")
    press(page, "Save")
    audit("more than a typo")
    Poll.objects.update(closes_at=timezone.now())
    page.goto(f"/polls/{poll.pk}/edit/")
    audit("closed")


def test_closing_reopening_and_trashing_a_poll(page, poll, verified, user, enter, audit):
    Poll.objects.update(author=user)
    vote(poll, "+12025550177", "Red")
    enter(verified)
    page.goto(f"/polls/{poll.pk}/close/")
    audit("closing")
    press(page, "Close the poll")
    page.goto(f"/polls/{poll.pk}/reopen/")
    audit("reopening")
    press(page, "Reopen the poll")
    audit("errors")
    page.goto(f"/polls/{poll.pk}/trash/")
    audit("trashing")
    press(page, "Move to the trash")
    audit("the trash")


def test_a_copy_too_many(page, poll, verified, user, enter, settings, refusals, audit):
    settings.POLLS_PER_DAY = 1
    Limit.objects.add("polls", user.pk, DAY)
    refusals.add((429, f"/polls/{poll.pk}/copy/"))
    Poll.objects.update(author=user)
    enter(verified)
    page.goto("/polls/mine/")
    page.get_by_role("button", name="Copy").click()
    audit("429")


def test_polls_by_permission_alone(page, signed_in, enter, settings, refusals, audit):
    settings.POLLS_PER_DAY = 0
    refusals.add((403, "/polls/new/"))
    enter(signed_in)
    page.goto("/polls/new/")
    audit("403")


def test_an_edit_of_two_tabs(page, poll, verified, user, enter, refusals, audit):
    Poll.objects.update(author=user)
    refusals.add((409, f"/polls/{poll.pk}/edit/"))
    enter(verified)
    page.goto(f"/polls/{poll.pk}/edit/")
    Poll.objects.update(question="Changed meanwhile?", description=ENDLESS * 2)
    press(page, "Save")
    audit("409")


def test_my_polls(page, verified, user, enter, audit):
    enter(verified)
    for show in Poll.Kind.values:
        page.goto(f"/polls/mine/?show={show}")
        audit(f"{show}, none")
    PollFactory.create_batch(21, author=user)
    PollFactory(author=user, question=ENDLESS, hidden_because=ENDLESS)
    PollFactory(author=user, published_at=None)
    for query in ["", "?page=2", "?show=drafts"]:
        page.goto(f"/polls/mine/{query}")
        audit(query)


def test_changing_the_email_address(page, signed_in, user, enter, audit, mailoutbox):
    user.email = "ada@example.com"
    user.save(update_fields=["email"])
    enter(signed_in)
    page.goto("/account/email/")
    audit("asking")
    page.get_by_label("Email").fill("junk")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("main").get_by_role("button").click()
    audit("a bad address and a wrong password")
    page.get_by_label("Email").fill("lovelace@example.com")
    page.get_by_label("Password").fill("correct horse battery")
    page.get_by_role("main").get_by_role("button").click()
    expect(page.get_by_role("status").first).to_contain_text("lovelace@example.com")
    audit("sent")
    page.goto(re.search(r"/account/email/\S+/", mailoutbox[0].body)[0])
    audit("confirming")
    press(page, "Use this address")
    expect(page.get_by_role("status").first).to_contain_text("Your email address is changed.")
    page.go_back()
    page.reload()
    audit("used")


def test_deleting_the_account(page, signed_in, enter, audit):
    enter(signed_in)
    page.goto("/account/delete/")
    audit("asking")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("main").get_by_role("button").click()
    audit("wrong password")


def test_texts_without_end(page, verified, user, enter, audit):
    poll = PollFactory(question=ENDLESS, description=ENDLESS, choices=[ENDLESS, "Red"])
    vote(poll, "+12025550177", ENDLESS)
    User.objects.filter(pk=user.pk).update(username=ENDLESS[:150], email=f"{ENDLESS}@example.com")
    enter(verified)
    results = f"/polls/{poll.pk}/results/"
    nothing_found = f"/polls/?q={'x' * 100}"
    shared, report = f"/p/{poll.slug}/", f"/polls/{poll.pk}/report/"
    pages = [poll.get_absolute_url(), shared, f"{shared}print/", results, report]
    for path in ["/polls/", nothing_found, *pages, "/account/"]:
        page.goto(path)
        audit(path)


def test_a_page_that_is_not_there(page, db, refusals, audit):
    refusals.add((404, "/nowhere/"))
    page.goto("/nowhere/")
    audit("404")


def test_a_page_that_takes_only_forms(page, signed_in, enter, refusals, audit):
    refusals.add((405, "/2fa/webhook/"))
    enter(signed_in)
    page.goto("/2fa/webhook/")
    audit("405")


def test_a_form_without_its_token(page, db, refusals, audit):
    refusals.add((403, "/login/"))
    page.goto("/login/")
    page.context.clear_cookies()
    press(page, "Sign in")
    audit("403")


def test_a_page_that_breaks(page, db, settings, monkeypatch, refusals, audit):
    settings.DEBUG = False
    refusals.add((500, "/polls/"))
    monkeypatch.delattr(PollListView, "template_name")
    page.goto("/polls/")
    audit("500")


def test_the_legal_pages(page, db, settings, audit):
    for name in ["privacy", "terms", "imprint", "accessibility"]:
        page.goto(f"/{name}/")
        audit(f"{name}, nobody named")
    settings.OPERATOR = {
        "name": ENDLESS,
        "address": "1 Poll Street\nLondon",
        "email": f"{ENDLESS}@polls.example.com",
        "details": ENDLESS,
        "hosting": ENDLESS,
    }
    cache.clear()
    for name in ["privacy", "terms", "imprint", "accessibility"]:
        page.goto(f"/{name}/")
        audit(f"{name}, somebody named")


@pytest.mark.parametrize(
    "browser_context_args", [{"locale": "ar"}, {"locale": "de"}], indirect=True
)
def test_other_languages(page, poll, signed_in, enter, audit):
    page.goto("/polls/")
    audit("list")
    page.goto("/login/?next=/polls/1/%3Fchoice%3D1")
    audit("steps")
    enter(signed_in)
    page.goto(f"/2fa/?next={poll.get_absolute_url()}%3Fchoice%3D1")
    page.locator("[name=number]").fill(steps.NUMBER)
    page.locator("form:has([name=number]) button").click()
    page.locator("[name=code]").fill(steps.wrong_code(page))
    page.locator("form:has([name=code]) button").click()
    audit("wrong code")
    page.locator("[name=code]").fill(steps.shown_code(page))
    page.locator("form:has([name=code]) button").click()
    audit("ballot")
    page.locator("[name=choice]").first.check()
    page.locator(".ballot button").click()
    audit("results")
    page.goto("/polls/new/")
    page.locator("[name=publish]").click()
    audit("new poll, nothing typed")
