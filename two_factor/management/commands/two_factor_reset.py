from django.core.management.base import BaseCommand

from two_factor.management.users import add_user_argument, get_user
from two_factor.models import TwoFactor


class Command(BaseCommand):
    help = (
        "Take the phone from one user, who proves one anew at the next vote or visit to the "
        "admin; all verified sessions end, recovery codes are void. For lost phones."
    )

    def add_arguments(self, parser):
        add_user_argument(parser)

    def handle(self, *args, **options):
        user = get_user(options["username"])
        two_factor, _ = TwoFactor.objects.get_or_create(user=user)
        two_factor.reset()
        self.stdout.write(f"{user} has no phone any more and proves one anew.")
