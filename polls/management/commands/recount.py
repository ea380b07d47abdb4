import hashlib
import json

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.db.models import Count, F, Q
from django.utils import timezone

from polls.history import FROZEN_ANEW, sentence
from polls.models import Ballot, Change, Poll, Snapshot, Vote
from polls.tally import count, snapshot


class Command(BaseCommand):
    help = (
        "Prove that what is shown is what was voted: every ballot has as many votes as its poll "
        "asks for, all for choices of that poll, and frozen counts equal the rows. Exits with 1 "
        "where that is not so."
    )

    def add_arguments(self, parser):
        parser.add_argument("poll", nargs="*", type=int, help="ids of polls (default: all)")
        parser.add_argument(
            "--repair",
            action="store_true",
            help="freeze a wrong count anew, and tell so in the poll's public history",
        )

    def handle(self, *args, **options):
        polls = Poll.objects.order_by("pk")
        if options["poll"]:
            polls = polls.filter(pk__in=options["poll"])
            if missing := set(options["poll"]) - set(polls.values_list("pk", flat=True)):
                raise CommandError(f"No such poll: {', '.join(map(str, sorted(missing)))}.")
        faults = 0
        for poll in polls.iterator():
            for fault in self.faults_of(poll, options["repair"]):
                faults += 1
                self.stderr.write(f"Poll {poll.pk}: {fault}")
        if faults:
            raise CommandError(f"{faults} faults found.")
        self.stdout.write("Every count is what the ballots say.")

    def faults_of(self, poll, repair):
        ballots = Ballot.objects.filter(poll=poll).annotate(votes_cast=Count("votes"))
        wrong = ballots.exclude(votes_cast__range=(poll.min_choices, poll.max_choices)).count()
        if wrong:
            yield f"{wrong} ballots do not have the number of votes that the poll asks for."
        foreign = Vote.objects.filter(Q(ballot__poll=poll) & ~Q(choice__poll=F("ballot__poll")))
        if foreign.exists():
            yield f"{foreign.count()} votes are for choices of another poll."
        if poll.is_closed and not self.is_frozen_right(poll):
            yield "its frozen count is not what the ballots say."
            if repair:
                self.freeze_anew(poll)
                self.stdout.write(f"Poll {poll.pk}: frozen anew.")

    def is_frozen_right(self, poll) -> bool:
        frozen = snapshot(poll)
        if hashlib.sha256(frozen.body.encode()).hexdigest() != frozen.sha256:
            return False
        frozen, counted = json.loads(frozen.body)["count"], count(poll)
        return all(frozen[key] == counted[key] for key in ("voters", "choices"))

    @transaction.atomic
    def freeze_anew(self, poll):
        before = Snapshot.objects.get(poll=poll)
        before.delete()
        after = snapshot(poll)
        anew = sentence(FROZEN_ANEW, before=before.sha256, after=after.sha256)
        Change.note(poll, count(poll)["voters"], anew, at=timezone.now())
