from datetime import timedelta

from django.conf import settings
from django.core.management.base import BaseCommand
from django.utils import timezone

from two_factor.history import Event
from two_factor.models import Limit, SandboxRequest, Verification, WebhookToken


class Command(BaseCommand):
    help = (
        "Delete what has had its day: numbers never proven, limits that ended, used webhook "
        "tokens, and old history. Run it once a day."
    )

    def add_arguments(self, parser):
        parser.add_argument(
            "--history-days",
            type=int,
            default=settings.VERIFY_HISTORY_DAYS,
            metavar="DAYS",
            help="keep the history for so many days (default: %(default)s)",
        )

    def handle(self, *args, **options):
        now = timezone.now()
        day_ago = now - timedelta(days=1)
        oldest = now - timedelta(days=options["history_days"])
        old = {
            "pending numbers": Verification.objects.filter(expires_at__lte=now),
            "limits": Limit.objects.filter(ends_at__lte=now),
            "webhook tokens": WebhookToken.objects.filter(used_at__lte=day_ago),
            "sandbox requests": SandboxRequest.objects.filter(started_at__lte=day_ago),
            "events": Event.objects.filter(at__lte=oldest),
        }
        for name, rows in old.items():
            # Raw, because nothing hangs on these rows, and the history knows no other deletion.
            self.stdout.write(f"{rows._raw_delete(rows.db)} {name} deleted")
