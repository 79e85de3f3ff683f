"""How long a repro takes: for each kind of stage its work, its start-up, and DVC between the stages.

Usage: python -m bench.stages  (`make bench`; reads what the last `make repro` of this checkout left in .work)

Start-up lasts until the imports of a process are done. DVC's time is from the end of a stage to the start of the next
process: hashing outs, writing dvc.lock, reading dvc.yaml.
"""

from collections import defaultdict
from collections.abc import Sequence

from stages.runner.times import Ran, read


def table(ran: Sequence[Ran]) -> list[str]:
    """Lines of the table, the longest kind first."""
    seconds: dict[str, list[float]] = defaultdict(lambda: [0, 0.0, 0.0, 0.0])
    for place, run in enumerate(ran):
        row = seconds[run.stage.partition("@")[0]]
        row[0] += 1
        row[1] += run.end - run.work
        row[2] += run.work - run.process
        row[3] += run.process - ran[place - 1].end if place else 0.0
    rows = sorted(seconds.items(), key=lambda pair: -sum(pair[1][1:]))
    total = [sum(row[column] for _, row in rows) for column in range(4)]
    lines = [f"{'stage':<20}{'entries':>8}{'work':>9}{'start':>9}{'DVC':>9}   seconds"]
    for name, (entries, *numbers) in (*rows, ("all", total)):
        lines.append(f"{name:<20}{entries:>8}" + "".join(f"{number:>9.1f}" for number in numbers))
    return lines


if __name__ == "__main__":
    ran = read()
    print("\n".join(table(ran)) if ran else "stages: none ran in the last `make repro` of this checkout: run it first.")
