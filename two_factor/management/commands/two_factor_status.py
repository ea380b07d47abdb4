from django.core.management.base import BaseCommand
from django.utils import timezone

from two_factor.management.users import add_user_argument, get_user


class Command(BaseCommand):
    help = "Show the second factor of one user."

    def add_arguments(self, parser):
        add_user_argument(parser)

    def handle(self, *args, **options):
        user = get_user(options["username"])
        two_factor = getattr(user, "two_factor", None)
        if two_factor is None or two_factor.number is None:
            self.stdout.write(f"{user} has no proven number.")
        else:
            proven = f"proven {two_factor.verified_at:%Y-%m-%d %H:%M} UTC"
            self.stdout.write(f"{user} has the number {two_factor.masked_number}, {proven}.")
        # Who has typed no code since an old lock still has its end in the row.
        if two_factor and two_factor.locked_until and two_factor.locked_until > timezone.now():
            self.stdout.write(f"Locked until {two_factor.locked_until:%Y-%m-%d %H:%M:%S} UTC.")
        left = user.recovery_codes.unused().count()
        self.stdout.write(f"Recovery codes left: {left}.")
