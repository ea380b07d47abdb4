from polls.models import Poll
from two_factor.management.commands import purge


class Command(purge.Command):
    help = f"{purge.Command.help} Polls go that lay in the trash for 30 days, votes and all."

    def handle(self, *args, **options):
        super().handle(*args, **options)
        ballots = [poll.delete_for_good() for poll in Poll.objects.past_trash().order_by("pk")]
        self.stdout.write(f"{len(ballots)} polls deleted, with {sum(ballots)} ballots")
