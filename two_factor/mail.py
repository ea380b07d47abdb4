"""Mail to users; here that about what happened to a second factor, so that its owner can object."""

import contextvars
import logging
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from threading import BoundedSemaphore

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, mailers
from django.db import connections, transaction
from django.dispatch import receiver
from django.template.loader import render_to_string
from django.utils import timezone, translation

from . import signals
from .steps import in_words

logger = logging.getLogger(__name__)

# Threads of each process that talk to the mail server, and how many mails may be under way or
# waiting for one. A server that never speaks holds a thread for 10 seconds (MAILERS in settings).
MAIL_THREADS = 2
MAX_MAILS_WAITING = 200
# Backends that talk to no server. Their mail is sent inside the request.
LOCAL_BACKENDS = {
    f"django.core.mail.backends.{name}" for name in ("console", "dummy", "filebased", "locmem")
}

places = BoundedSemaphore(MAX_MAILS_WAITING)


@lru_cache(maxsize=1)
def senders() -> ThreadPoolExecutor:
    """Return the threads that send mail. A process that ends waits for what they still have."""
    return ThreadPoolExecutor(MAIL_THREADS, thread_name_prefix="mail")


def after_answer(name: str, job, *args):
    """Call ``job`` in another thread, once what was written so far is committed.

    The answer must neither wait for the mail server nor tell by its time whether there was a mail
    to send. So everything that depends on that belongs into ``job``. ``name`` is for the log.
    """
    if type(mailers.default).__module__ in LOCAL_BACKENDS:
        job(*args)
    else:
        transaction.on_commit(lambda: queue(name, job, args))


def queue(name, job, args):
    if places.acquire(blocking=False):
        # With the context, so that lines of the log name the request.
        senders().submit(contextvars.copy_context().run, work, name, job, args)
    else:
        logger.error("The mail %s was not sent: too many mails are waiting", name)


def work(name, job, args):
    try:
        job(*args)
    except Exception as error:
        logger.error("The mail %s could not be sent: %s", name, type(error).__name__)
    finally:
        connections.close_all()
        places.release()


def send(user, template: str, to: str | None = None, fallback: str = "", **context):
    """Send the mail ``template`` to the user, if there is an address, after the answer.

    ``to`` is the address where it is not the user's present one, ``fallback`` the language for an
    account that has none. A mail server's trouble must not undo what the mail is about, so it is
    only logged.
    """
    to = user.email if to is None else to
    if to:
        context |= {"user": user, "at": timezone.now()}
        language = language_of(user, fallback)
        after_answer(name_of(template), deliver, template, to, language, context)


def language_of(user, fallback: str = "") -> str:
    """Return the language to write to ``user`` in, whoever's request the mail comes from.

    A project may keep it as ``user.account.language``; otherwise it is ``fallback``, or the site's.
    """
    kept = getattr(getattr(user, "account", None), "language", "")
    return kept or fallback or settings.LANGUAGE_CODE


def name_of(template: str) -> str:
    return template.rpartition("/")[2]


def deliver(template: str, to: str, language: str, context: dict):
    """Write the mail ``template``, named without its ``.txt``, and hand it to the mail server.

    The first line of the template is the subject; what follows is sent as text and as HTML.
    """
    with translation.override(language):
        text = render_to_string(f"{template}.txt", context)
        subject, _, body = text.partition("\n\n")
        html = render_to_string("mail.html", {"subject": subject, "body": body})
    message = EmailMultiAlternatives(subject.strip(), body, to=[to])
    message.attach_alternative(html, "text/html")
    try:
        message.send()
    except (OSError, ValueError) as error:  # the server's trouble, or an address that is none
        logger.error("The mail %s could not be sent: %s", name_of(template), type(error).__name__)


@receiver(signals.phone_verified)
def mail_new_number(sender, user, is_new, **kwargs):
    if is_new:
        send(user, "two_factor/mail/new_number", number=user.two_factor.masked_number)


@receiver(signals.phone_changed)
def mail_change(sender, user, **kwargs):
    send(user, "two_factor/mail/changed", number=user.two_factor.masked_number)


@receiver(signals.phone_reset)
def mail_reset(sender, user, **kwargs):
    send(user, "two_factor/mail/reset")


@receiver(signals.phone_locked)
def mail_lock(sender, user, **kwargs):
    with translation.override(language_of(user)):
        wait = in_words(settings.VERIFY_LOCK_SECONDS)
    send(user, "two_factor/mail/locked", wait=wait)


@receiver(signals.phone_failed)
def mail_failure(sender, user, **kwargs):
    send(user, "two_factor/mail/failed")


@receiver(signals.recovery_code_used)
def mail_recovery(sender, user, left, **kwargs):
    send(user, "two_factor/mail/recovered", left=left)
