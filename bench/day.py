"""Simulate a day on which ten million people vote: python -m bench.day WEB DATABASE

WEB and DATABASE are the milliseconds of a processor that a new voter takes there, as bench.voters
prints them. Voters arrive by chance, by the second, most of them in a few hours; what the cores
cannot do in a second waits for the next. A core is taken to be busy with nothing else.
"""

import math
import random
import sys

from .report import table

VOTERS, HOURS = 10_000_000, 24
# Half of the day's voters come within about three hours around the evening news.
PEAK, SPREAD = 20, 2  # o'clock, hours
FLOOR = 0.25  # of the voters come evenly, whatever the hour
# The provider's: a start and a check a voter, at most so many requests a second (Verify v1's limit;
# of v2 none is published).
CALLS, CALLS_A_SECOND = 2, 30
LONGEST_WAIT = 1.0  # seconds, for 99 of 100 voters
THREADS = 8  # of a process, as gunicorn.conf.py says


def main(web_ms: float, database_ms: float):
    random.seed(20)
    arrivals = [arriving(rate) for rate in rates()]
    peak = max(arrivals)
    print(f"{sum(arrivals):,} voters in a day; in the busiest second {peak:,}\n")
    costs = {"web": web_ms, "database": database_ms}
    rows = [need(name, arrivals, ms / 1000) for name, ms in costs.items()]
    table("Cores", ["", "CPU ms a voter", "cores", "p99 of the wait, s", "at half as many"], rows)
    cores = rows[0][2]
    table(
        "What that means",
        ["", ""],
        [
            ["web processes, and threads with a connection each", f"{cores}, {cores * THREADS:,}"],
            ["calls to the provider in the busiest second", f"{CALLS * peak:,}"],
            [f"days at {CALLS_A_SECOND} calls a second", f"{days_at_the_limit():.1f}"],
        ],
    )


def rates() -> list[float]:
    """Return how many voters to expect in each second of the day."""
    seconds = range(HOURS * 3600)
    bell = [math.exp(-(((at / 3600 - PEAK) / SPREAD) ** 2) / 2) for at in seconds]
    even, whole = FLOOR * VOTERS / len(seconds), sum(bell)
    return [even + (1 - FLOOR) * VOTERS * weight / whole for weight in bell]


def arriving(rate: float) -> int:
    """Draw from a Poisson distribution; where it is large, by the normal one that it becomes."""
    return max(0, round(random.gauss(rate, math.sqrt(rate))))


def need(name, arrivals, cost) -> list:
    """Return the row with the fewest cores that keep the wait short."""
    cores = 1
    while (wait := p99_wait(arrivals, cost, cores)) > LONGEST_WAIT:
        cores = math.ceil(cores * 1.05)
    half = p99_wait(arrivals, cost, max(1, cores // 2))
    return [name, f"{1000 * cost:.0f}", cores, f"{wait:.2f}", f"{half:,.0f}"]


def p99_wait(arrivals, cost, cores) -> float:
    """Return the wait in seconds that 99 of 100 voters do not exceed."""
    backlog, waits = 0.0, []
    for number in arrivals:
        backlog = max(0.0, backlog + number * cost - cores)
        waits.append((backlog / cores, number))
    waits.sort()
    left = 0.01 * sum(number for _, number in waits)
    while left > 0:
        wait, number = waits.pop()
        left -= number
    return wait


def days_at_the_limit() -> float:
    return VOTERS * CALLS / CALLS_A_SECOND / 86400


if __name__ == "__main__":
    main(*map(float, sys.argv[1:]))
