"""Runs a study in a process that is killed again and again, then lets it end.

``python -m tests.killed_runs STUDY.toml OUTPUT KILLS`` prints how many tasks were finished after
each kill, as JSON. The runs are forks of this process, which has imported everything already.
"""

import json
import os
import random
import signal
import sqlite3
import sys
import time
from pathlib import Path

from mixcompare.backends import get_backend
from mixcompare.study.run.run_study import run_study


def finished(store: Path) -> int:
    """Number of finished tasks."""
    if not store.exists():
        return 0
    connection = sqlite3.connect(store)
    try:
        query = "SELECT count(*) FROM tasks WHERE outcome IS NOT NULL"
        return int(connection.execute(query).fetchone()[0])
    except sqlite3.OperationalError:  # killed before the tables were made
        return 0
    finally:
        connection.close()


def main(study: Path, output: Path, kills: int) -> list[int]:
    """Numbers of finished tasks after each kill."""
    get_backend("em")  # which is imported where it is used
    store = output / "study.sqlite"
    rng = random.Random(7)
    counts = []
    for kill in range(kills):
        before = finished(store)
        run = _forked(study, output)
        # Every second kill may come before a first fit, while the store is opened or made.
        deadline = time.monotonic() + 60
        while kill % 2 == 0 and finished(store) <= before and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.1))
        os.kill(run, signal.SIGKILL)
        os.waitpid(run, 0)
        counts.append(finished(store))
    _, status = os.waitpid(_forked(study, output), 0)
    if status:
        raise SystemExit("the last run, which nobody killed, failed")
    return counts


def _forked(study: Path, output: Path) -> int:
    process = os.fork()
    if process:
        return process
    status = 1
    try:
        run_study(study, output, workers=0, report=False, progress=False)
        status = 0
    finally:
        os._exit(status)


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))))  # noqa: T201
