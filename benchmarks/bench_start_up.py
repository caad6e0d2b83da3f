"""How long the command line takes to start, beside a Python that does nothing: ``python -m benchmarks.bench_start_up``."""

import resource
import statistics
import subprocess
import sys

ROUNDS = 5
EMPTY = ("-c", "pass")
COMMANDS = ("--help", "version", "status --help", "explain --help", "lint --help", "audit --help")


def main() -> None:
    """Median of some starts of each command, and how many times as much as that of an empty program."""
    print(f"{'command':<24} {'processor':>9} {'of an empty Python':>20}")
    empty = _seconds(EMPTY)
    print(f"{'python -c pass':<24} {empty * 1000:>6.0f} ms {1:>19.1f}x")
    for command in COMMANDS:
        took = _seconds(("-m", "modelward.cli.main", *command.split()))
        print(f"{'modelward ' + command:<24} {took * 1000:>6.0f} ms {took / empty:>19.1f}x")


def _seconds(arguments: tuple[str, ...]) -> float:
    """The median; the first start, which fills caches, does not count."""
    return statistics.median([_once(arguments) for _ in range(ROUNDS + 1)][1:])


def _once(arguments: tuple[str, ...]) -> float:
    """Processor time: on a busy machine the time on the wall says more of the others."""
    before = _spent()
    subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
    return _spent() - before


def _spent() -> float:
    of_children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return of_children.ru_utime + of_children.ru_stime


if __name__ == "__main__":
    main()
