import hashlib
import json

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.db.models import Count, F, Q
from django.utils import timezone

from polls.history import FROZEN_ANEW, ODD_BALLOTS, sentence
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
        parser.add_argument(
            "--accept",
            action="store_true",
            help="let ballots with a wrong number of votes count as they are, and tell so in the "
            "poll's public history; the poll must be named",
        )

    def handle(self, *args, **options):
        if options["accept"] and not options["poll"]:
            raise CommandError("Name the polls whose ballots you accept.")
        polls = list(Poll.objects.order_by("pk").values_list("pk", flat=True))
        if missing := set(options["poll"]) - set(polls):
            raise CommandError(f"No such poll: {', '.join(map(str, sorted(missing)))}.")
        faults = 0
        for pk in sorted(set(options["poll"])) or polls:
            for fault in self.faults_of(pk, options["repair"], options["accept"]):
                faults += 1
                self.stderr.write(f"Poll {pk}: {fault}")
        if faults:
            raise CommandError(f"{faults} faults found.")
        self.stdout.write("Every count is what the ballots say.")

    def faults_of(self, pk, repair, accept) -> list[str]:
        with transaction.atomic():
            # A closed poll is not opened again while its rows are compared with its frozen count.
            closed = Poll.objects.closed().select_for_update().filter(pk=pk).first()
            poll = closed or Poll.objects.filter(pk=pk).first()
            if poll is None:
                return []
            faults = [*self.odd_ballots(poll, accept), *self.foreign_votes(poll)]
            return faults + (self.frozen_wrong(poll, repair) if closed else [])

    def odd_ballots(self, poll, accept) -> list[str]:
        # By the poll's numbers of this very moment: they may change until somebody votes.
        is_odd = Q(votes_cast__lt=F("poll__min_choices")) | Q(votes_cast__gt=F("poll__max_choices"))
        ballots = Ballot.objects.filter(poll=poll).annotate(votes_cast=Count("votes"))
        number = ballots.filter(is_odd).count()
        if not number or number == self.accepted(poll):
            return []
        if accept:
            told = sentence(ODD_BALLOTS, number=str(number))
            Change.note(
                poll, poll.ballots.count(), told, subject=Change.ODD_BALLOTS, before=str(number)
            )
            self.stdout.write(f"Poll {poll.pk}: {number} ballots accepted as they are.")
            return []
        return [
            f"{number} ballots do not have the number of votes that the poll asks for. Releases "
            "before November 2026 let them in when a poll was edited at the moment of its first "
            "votes. If that is the cause, let them count as they are, and tell so in the poll's "
            f"public history: manage.py recount --accept {poll.pk}"
        ]

    def accepted(self, poll) -> int:
        last = poll.changes.filter(subject=Change.ODD_BALLOTS).last()
        return int(last.before) if last else 0

    def foreign_votes(self, poll) -> list[str]:
        foreign = Vote.objects.filter(Q(ballot__poll=poll) & ~Q(choice__poll=F("ballot__poll")))
        number = foreign.count()
        return [f"{number} votes are for choices of another poll."] if number else []

    def frozen_wrong(self, poll, repair) -> list[str]:
        if self.is_frozen_right(poll):
            return []
        if repair:
            self.freeze_anew(poll)
            self.stdout.write(f"Poll {poll.pk}: frozen anew.")
        return ["its frozen count is not what the ballots say."]

    def is_frozen_right(self, poll) -> bool:
        frozen = snapshot(poll)
        if hashlib.sha256(frozen.body.encode()).hexdigest() != frozen.sha256:
            return False
        frozen, counted = json.loads(frozen.body)["count"], count(poll)
        return all(frozen[key] == counted[key] for key in ("voters", "choices"))

    def freeze_anew(self, poll):
        before = Snapshot.objects.get(poll=poll)
        before.delete()
        after = snapshot(poll)
        anew = sentence(FROZEN_ANEW, before=before.sha256, after=after.sha256)
        Change.note(poll, count(poll)["voters"], anew, at=timezone.now())
