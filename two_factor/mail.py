"""Mail to users; here that about what happened to a second factor, so that its owner can object."""

import logging

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.dispatch import receiver
from django.template.loader import render_to_string
from django.utils import timezone, translation

from . import signals
from .steps import in_words

logger = logging.getLogger(__name__)


def send(user, template: str, to: str | None = None, **context) -> bool:
    """Send the mail ``template``, named without its ``.txt``, to the user, if there is an address.

    ``to`` is the address where it is not the user's present one. The first line of the mail is its
    subject; what follows is sent as text and as HTML.

    A mail server's trouble must not undo what the mail is about, so it is only logged. Return
    whether the mail is on its way.
    """
    to = user.email if to is None else to
    if not to:
        return False
    context |= {"user": user, "at": timezone.now()}
    text = render_to_string(f"{template}.txt", context)
    subject, _, body = text.partition("\n\n")
    message = EmailMultiAlternatives(subject.strip(), body, to=[to])
    message.attach_alternative(
        render_to_string("mail.html", {"subject": subject, "body": body}),
        "text/html",
    )
    try:
        message.send()
    except (OSError, ValueError) as error:  # the server's trouble, or an address that is none
        name = template.rpartition("/")[2]
        logger.error("The mail %s could not be sent: %s", name, type(error).__name__)
        return False
    return True


@receiver(signals.phone_verified)
def mail_new_number(sender, user, is_new, **kwargs):
    if is_new:
        send(user, "two_factor/mail/new_number", number=user.two_factor.masked_number)


@receiver(signals.phone_changed)
def mail_change(sender, user, **kwargs):
    send(user, "two_factor/mail/changed", number=user.two_factor.masked_number)


@receiver(signals.phone_reset)
def mail_reset(sender, user, **kwargs):
    # Whoever runs the site did it, and what they read says nothing of the user.
    with translation.override(settings.LANGUAGE_CODE):
        send(user, "two_factor/mail/reset")


@receiver(signals.phone_locked)
def mail_lock(sender, user, **kwargs):
    send(user, "two_factor/mail/locked", wait=in_words(settings.VERIFY_LOCK_SECONDS))


@receiver(signals.phone_failed)
def mail_failure(sender, user, **kwargs):
    send(user, "two_factor/mail/failed")


@receiver(signals.recovery_code_used)
def mail_recovery(sender, user, left, **kwargs):
    send(user, "two_factor/mail/recovered", left=left)
