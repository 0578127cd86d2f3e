"""Where tasks run: in this process, in a pool of local ones, on Dask, or any executor."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from typing import Any, Final

from mixcompare.base.errors import MachineError, OptionError
from mixcompare.base.workers import start_processes
from mixcompare.study.task.limits import pinned_environment, start_worker

# Seconds that a cluster without workers is waited for.
_PATIENCE: Final = 300.0


class Pool:
    """Workers that run functions and may die.

    Attributes
    ----------
    size
        How many functions run at a time.
    deaths
        Exceptions of a future whose worker died.
    expendable
        Whether a worker may end its process to end a fit.
    """

    size: int = 1
    deaths: tuple[type[BaseException], ...] = ()
    expendable: bool = False

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Start a function on a free worker."""
        raise NotImplementedError

    def renew(self) -> None:
        """Make the pool usable after a worker died; nothing where somebody else sees to it."""

    def check(self) -> None:
        """See after the workers; called while nothing comes from them.

        Nothing where somebody else notices that a worker ends.

        Raises
        ------
        MachineError
            If nothing will come any more.
        """

    def close(self) -> None:
        """End the workers without waiting for what they do; nothing where they are another's."""


class Here(Pool):
    """No workers: every function runs at once, in this process."""

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Run it."""
        future: Future[Any] = Future()
        future.set_result(function(*arguments))
        return future


class LocalPool(Pool):
    """Processes of this machine, one thread each.

    Parameters
    ----------
    size
        How many.
    """

    deaths = (BrokenExecutor,)
    expendable = True

    def __init__(self, size: int) -> None:
        self.size = size
        self._executor = start_processes(size, start_worker)

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Start a function; workers are spawned as needed."""
        with pinned_environment():
            return self._executor.submit(function, *arguments)

    def renew(self) -> None:
        """Replace a broken pool."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._executor = start_processes(self.size, start_worker)

    def close(self) -> None:
        """End the processes."""
        processes = list((getattr(self._executor, "_processes", None) or {}).values())
        self._executor.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()


class ExecutorPool(Pool):
    """Any executor, such as that of MPI.

    Its workers should run one thread each, which is its owner's to see to
    (``OMP_NUM_THREADS=1``).

    Parameters
    ----------
    executor
        Stays its owner's to shut down.
    size
        How many functions it runs at a time.
    deaths
        Its exceptions for a worker that died.

    Notes
    -----
    On MPI, with mpi4py 4 and Open MPI 5, a file that ``mpiexec -n 9 python -m mpi4py.futures
    FILE.py`` runs on eight workers::

        import mixcompare as mc
        from mixcompare.study.run.pools import ExecutorPool
        from mpi4py.futures import MPIPoolExecutor

        if __name__ == "__main__":
            with MPIPoolExecutor() as executor:
                pool = ExecutorPool(executor, executor.num_workers)
                mc.run_study("studies/separation.toml", pool=pool)

    MPI ends all processes when one dies. The same command then goes on where the study was.
    """

    def __init__(
        self,
        executor: Executor,
        size: int,
        deaths: tuple[type[BaseException], ...] = (BrokenExecutor,),
    ) -> None:
        self.size = size
        self.deaths = deaths
        self._executor = executor

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Hand the function to the executor."""
        return self._executor.submit(function, *arguments)


class DaskPool(ExecutorPool):
    """The workers of a Dask cluster.

    Workers should run one thread each (``dask worker --nthreads 1``), with their nannies, which
    replace a worker that died. The scheduler tries a task whose worker died again, three times by
    default (``DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES``), before it is given up here.

    Parameters
    ----------
    address
        Of the scheduler, ``tcp://host:port``.
    workers
        How many are waited for.

    patience
        Seconds to wait for another worker when all are gone.

    Raises
    ------
    OptionError
        If distributed is not installed, or there is no scheduler or no worker.
    """

    expendable = True

    def __init__(self, address: str, workers: int = 1, patience: float = _PATIENCE) -> None:
        try:
            from distributed import Client, KilledWorker
        except ImportError as error:
            raise OptionError(
                "--scheduler needs the package distributed: pip install 'mixcompare[cluster]'."
            ) from error
        try:
            self._client = Client(address, timeout=10)
            self._client.wait_for_workers(workers, timeout=60)
        except (OSError, TimeoutError, ValueError) as error:
            raise OptionError(f"no Dask cluster at {address}: {error}") from error
        self.address, self.patience = address, patience
        self._alone_since: float | None = None
        # Impure, or a task that is sent again would get the death that it had before.
        super().__init__(
            self._client.get_executor(pure=False), self._workers(), (KilledWorker, CancelledError)
        )

    def _workers(self) -> int:
        """How many tasks the workers that there are now run at a time."""
        try:
            return sum(self._client.ncores().values())
        except (OSError, TimeoutError, RuntimeError) as error:
            raise self._gone("does not answer any more") from error

    def _gone(self, what: str) -> MachineError:
        return MachineError(f"the Dask scheduler at {self.address} {what}.")

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Hand the function to the scheduler."""
        self._check_scheduler()
        return super().submit(function, *arguments)

    def _check_scheduler(self) -> None:
        if self._client.status != "running":
            raise self._gone("does not answer any more")

    def renew(self) -> None:
        """Count the workers that there are now; wait for one if there is none."""
        while not self._workers():
            self.check()
            time.sleep(1)
        self.check()
        self.size = self._workers()

    def check(self) -> None:
        """See whether scheduler and workers are there."""
        self._check_scheduler()
        if self._workers():
            self._alone_since = None
            return
        now = time.monotonic()
        if self._alone_since is None:
            self._alone_since = now
            sys.stderr.write(
                f"mixcompare: all Dask workers at {self.address} are gone; waiting "
                f"{self.patience:.0f} seconds for another.\n"
            )
        if now - self._alone_since > self.patience:
            raise self._gone(f"has had no worker for {self.patience:.0f} seconds")

    def close(self) -> None:
        """Give back what is not finished, and leave the cluster."""
        self._executor.shutdown(wait=False)
        self._client.close()
