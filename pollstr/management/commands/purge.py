from datetime import timedelta

from django.utils import timezone

from polls.management.commands import purge
from pollstr.models import AccountEvent


class Command(purge.Command):
    help = f"{purge.Command.help} Sign-ins go with the old history."

    def handle(self, *args, **options):
        oldest = timezone.now() - timedelta(days=options["history_days"])
        deleted, _ = AccountEvent.objects.filter(at__lte=oldest).delete()
        self.stdout.write(f"{deleted} account events deleted")
        super().handle(*args, **options)
