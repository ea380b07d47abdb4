from django.core.management.base import BaseCommand, CommandError

from two_factor.history import Event, record
from two_factor.management.users import add_user_argument, get_user
from two_factor.models import TwoFactor
from two_factor.recovery import RecoveryCode


class Command(BaseCommand):
    help = (
        "Make new recovery codes for one user and print them; older ones are void. A code stands "
        "in for the phone at /2fa/recover/. It lets staff without a verified number into the "
        "administration for an hour, for example before Vonage is set up."
    )

    def add_arguments(self, parser):
        add_user_argument(parser)

    def handle(self, *args, **options):
        user = get_user(options["username"])
        two_factor, _ = TwoFactor.objects.get_or_create(user=user)
        if two_factor.number is None and not user.is_staff:
            raise CommandError(
                f"{user} has no verified number and is not staff: a recovery code opens nothing."
            )
        codes = RecoveryCode.objects.renew(user)
        record(Event.Kind.RECOVERY_CODES, user)
        self.stdout.write("\n".join(codes))
        self.stderr.write(f"Each works once, at /2fa/recover/, after {user} has signed in.")
