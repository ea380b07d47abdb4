from django.db import transaction
from django.utils import timezone

from polls.models import Ballot, Poll
from polls.tally import snapshot
from two_factor.history import Event
from two_factor.management.commands import purge


class Command(purge.Command):
    help = (
        f"{purge.Command.help} Polls go that lay in the trash for 30 days, votes and all; polls "
        "that forget their voters do so 90 days after the close."
    )

    def handle(self, *args, **options):
        super().handle(*args, **options)
        ballots = [poll.delete_for_good() for poll in Poll.objects.past_trash().order_by("pk")]
        ballots = [number for number in ballots if number is not None]
        self.stdout.write(f"{len(ballots)} polls deleted, with {sum(ballots)} ballots")
        due = Poll.objects.to_forget(timezone.now()).order_by("pk")
        forgot = [self.forget(pk) for pk in list(due.values_list("pk", flat=True))]
        self.stdout.write(f"{sum(forgot)} polls forgot who voted")

    @transaction.atomic
    def forget(self, pk: int) -> bool:
        """Forget who voted in a poll, unless it was opened again since it was found."""
        poll = Poll.objects.to_forget(timezone.now()).select_for_update().filter(pk=pk).first()
        if poll is None:
            return False
        # The count is frozen first, should nobody have looked at it since the close.
        snapshot(poll)
        Ballot.objects.forget_voters(poll)
        Event.objects.unlink_proofs(poll.opens_at, poll.closes_at)
        return True
