"""Whether the tutorial can begin: ``python -m tests.tutorial``, which ``make test`` asks before anything else."""

import sys

from tests.tutorial.beginning import obstacle

if __name__ == "__main__":
    sys.exit(obstacle())
