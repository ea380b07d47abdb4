"""Ways to count votes, compared by pgbench at the level of SQL: 32 clients, hot and spread."""

import contextlib
import re
import subprocess
import tempfile
from pathlib import Path

from django.db import connection
from django.test.utils import CaptureQueriesContext

from polls.models import Ballot, Choice

from .report import COMPARED, compared, percentile, table

CLIENTS = 32
SECONDS = 1
ROUNDS = 3

TABLES = """
    DROP TABLE IF EXISTS bench_ballot, bench_counter, bench_rolled;
    CREATE TABLE bench_ballot (
        id bigserial PRIMARY KEY, poll bigint, mark text, choice bigint, UNIQUE (poll, mark));
    CREATE INDEX bench_covering ON bench_ballot (poll, choice);
    CREATE TABLE bench_counter (
        choice bigint, shard int, votes bigint, PRIMARY KEY (choice, shard)
    ) WITH (fillfactor = 50);
    CREATE TABLE bench_rolled (up_to bigint);
    INSERT INTO bench_rolled VALUES (0);
    INSERT INTO bench_counter
    SELECT choice, shard, 0 FROM generate_series(1, 1000) choice, generate_series(0, 15) shard;
"""
# Stands for the mark of a number, new each time.
MARK = "md5(random()::text || clock_timestamp()::text)"
# :choice is set by the load; a poll is as good as its choice here.
BALLOT = f"INSERT INTO bench_ballot (poll, mark, choice) VALUES (:choice, {MARK}, :choice)"  # noqa: S608
COUNTED = """
    WITH ballot AS ({ballot} RETURNING choice)
    UPDATE bench_counter SET votes = votes + 1 WHERE choice = :choice AND shard = {shard};
"""
# Exact only once no vote under way can have a lower id: a real one would wait for those.
ROLL_UP = """
    WITH last AS (SELECT max(id) AS id FROM bench_ballot),
    rolled AS (
        UPDATE bench_rolled SET up_to = last.id FROM last, bench_rolled AS before
        RETURNING before.up_to AS after, last.id AS up_to)
    UPDATE bench_counter SET votes = bench_counter.votes + new.votes FROM (
        SELECT choice, count(*) AS votes FROM bench_ballot, rolled
        WHERE id > rolled.after AND id <= rolled.up_to GROUP BY choice) AS new
    WHERE bench_counter.choice = new.choice AND shard = 0;
"""


def pollstr_itself(choices: list[Choice]) -> str:
    """Return what Ballot.objects.cast sends, for the choices of polls made one after the other."""
    first = choices[0]
    with CaptureQueriesContext(connection) as captured:
        Ballot.objects.cast(first.poll, "+12020000000", [first.pk])
    begin, cast, vote, commit = (query["sql"] for query in captured)
    ballot = Ballot.objects.latest("pk")
    cast = cast.replace(f"'{ballot.mark}'", MARK)
    cast = re.sub(rf"\b{first.poll_id}\b", ":poll", cast)
    vote = re.sub(rf"\b{first.poll_id}\b", ":poll", vote)
    vote = re.sub(rf"\b{ballot.pk}\b", ":id", vote)
    vote = re.sub(rf"\b{first.pk}\b", ":picked", vote)
    return f"""
        \\set poll {first.poll_id} + :choice - 1
        \\set picked {first.pk} + {choices[1].pk - first.pk} * (:choice - 1)
        {begin};
        {cast} \\gset
        {vote};
        {commit};
    """


def designs(choices: list[Choice]) -> dict[str, str]:
    own = pollstr_itself(choices)
    return {
        "a counter row": COUNTED.format(ballot=BALLOT, shard="0"),
        "a counter in 16 shards": "\\set shard random(0, 15)\n"
        + COUNTED.format(ballot=BALLOT, shard=":shard"),
        "insert only, covering index": BALLOT + ";",
        "insert, rolled up each second": BALLOT + ";",
        "Pollstr: lock, ballot, vote": own,
        "the same without its share lock": own.replace("FOR SHARE", ""),
    }


def pgbench(script: str, folder: str, *options) -> subprocess.Popen:
    path = Path(folder, f"{abs(hash(script))}.sql")
    # pgbench ends a command of its own at the end of a line.
    path.write_text("\n".join(one.strip() for one in script.splitlines() if one.strip()))
    command = ["pgbench", "-n", "-M", "prepared", "-T", str(SECONDS), "-f", str(path), *options]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)


def run(name: str, script: str, choices: int) -> tuple[float, float]:
    """Return votes a second, and the 99th percentile of their latencies in ms."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as beside:
        if "rolled" in name:
            beside.enter_context(pgbench(ROLL_UP, folder, "-c1", "-R1"))
        vote = f"\\set choice random(1, {choices})\n{script}"
        load = pgbench(vote, folder, f"-c{CLIENTS}", "-j2", "-l", "--log-prefix=vote")
        load.communicate()
        logs = Path(folder).glob("vote.*")
        waits = [int(row.split()[2]) / 1000 for log in logs for row in log.open()]
    # Where the disk stood still for a whole turn, no vote came through.
    return len(waits) / SECONDS, percentile(waits or [1000 * SECONDS], 99)


def compare_designs(scripts: dict[str, str], choices: int, fsync: str):
    """Compare them on one choice, and on so many."""
    with connection.cursor() as cursor:
        cursor.execute(TABLES)
    runs = {(name, load): [] for name in scripts for load in (1, choices)}
    for _ in range(ROUNDS):
        for name, load in runs:
            runs[name, load].append(run(name, scripts[name], load))
    rows = [[name, *compared(runs[name, choices], runs[name, 1])] for name in scripts]
    table(f"Designs in SQL, {CLIENTS} clients, fsync {fsync}", ["design", *COMPARED], rows)
