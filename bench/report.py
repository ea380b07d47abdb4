"""Figures in the form in which docs/voting.md and docs/performance.md show them."""

import statistics

COMPARED = ["spread, votes/s", "hot", "ratio", "spread, p99 ms", "hot", "ratio"]


def compared(spread: list[tuple], hot: list[tuple]) -> list[str]:
    """Set the medians of both side by side; each run has votes a second, and p99 in ms."""
    speed, wait = zip(medians(spread), medians(hot), strict=True)
    return with_ratio(*speed) + with_ratio(*wait)


def medians(runs: list[tuple]) -> list[float]:
    return [statistics.median(figures) for figures in zip(*runs, strict=True)]


def with_ratio(spread: float, hot: float) -> list[str]:
    return [f"{spread:.0f}", f"{hot:.0f}", f"{hot / spread:.2f}"]


def percentile(values: list[float], percent: int) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def table(title: str, header: list, rows: list[list]):
    """Print a Markdown table."""
    lines = [f"**{title}**", "", line(header), line(["---"] * len(header)), *map(line, rows), ""]
    print("\n".join(lines), flush=True)


def line(cells: list) -> str:
    return f"| {' | '.join(map(str, cells))} |"
