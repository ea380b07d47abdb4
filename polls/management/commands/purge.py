from django.utils import timezone

from polls.models import Ballot, Poll
from polls.tally import snapshot
from two_factor.management.commands import purge


class Command(purge.Command):
    help = (
        f"{purge.Command.help} Polls go that lay in the trash for 30 days, votes and all; polls "
        "that forget their voters do so 90 days after the close."
    )

    def handle(self, *args, **options):
        super().handle(*args, **options)
        ballots = [poll.delete_for_good() for poll in Poll.objects.past_trash().order_by("pk")]
        self.stdout.write(f"{len(ballots)} polls deleted, with {sum(ballots)} ballots")
        forgetting = list(Poll.objects.to_forget(timezone.now()).order_by("pk"))
        for poll in forgetting:
            # The count is frozen first, should nobody have looked at it since the close.
            snapshot(poll)
            Ballot.objects.forget_voters(poll)
        self.stdout.write(f"{len(forgetting)} polls forgot who voted")
