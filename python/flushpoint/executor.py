"""Parts of a run on the workers of an executor, whatever it is, however often they fail."""

from __future__ import annotations

import hashlib
import os
import pickle
import sys
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, wait
from typing import Any, Protocol

_TRIES = 4  # of a part whose workers die
#: What a task ends with whose worker or data is gone.
_LOST: tuple[type[BaseException], ...] = (CancelledError, ConnectionError, EOFError)

Work = Callable[[range], Any]


def check_executor(executor: object) -> None:
    """Raise unless an executor is one, or None."""
    if executor is None or isinstance(executor, Executor):
        return
    if not _is_client(executor):
        raise TypeError(
            "executor must be a concurrent.futures.Executor or a dask.distributed.Client, was "
            f"{type(executor).__name__}"
        )
    if getattr(executor, "asynchronous", False):
        raise ValueError("executor must be a synchronous dask.distributed.Client, was an asynchronous one")


def places(executor: Any) -> int:
    """Return how many tasks an executor runs at a time, as far as it tells."""
    if _is_client(executor):
        return max(1, int(sum(executor.nthreads().values())))
    for name in ("num_workers", "_max_workers"):  # of mpi4py, and of the standard library
        told = getattr(executor, name, None)
        if isinstance(told, int) and told > 0:
            return told
    return os.cpu_count() or 1


def spread(work: Work, parts: Sequence[range], executor: Any) -> Generator[tuple[range, Any]]:
    """Yield each part with what the work makes of it, as they come; cancel what waits when closed."""
    pool: _Pool = _Cluster(work, executor) if _is_client(executor) else _Workers(work, executor)
    to_send = deque((part, 1) for part in parts)
    waiting: dict[Future[Any], tuple[range, int, int]] = {}
    arrived = renewed = 0
    try:
        while to_send or waiting:
            while to_send and len(waiting) < pool.most_waiting(arrived):
                part, tries = to_send.popleft()
                waiting[pool.send(part)] = part, tries, renewed
            done, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                part, tries, before = waiting.pop(future)
                try:
                    found = future.result()
                except pool.lost:
                    if tries == _TRIES:
                        raise
                    if before == renewed:  # else what was lost has been made good since
                        pool.renew()
                        renewed += 1
                    to_send.appendleft((part, tries + 1))
                    continue
                if found is None:
                    waiting[pool.send_whole(part)] = part, tries, renewed
                    continue
                arrived += 1
                yield part, found
    except BrokenExecutor as error:
        raise BrokenExecutor(
            f"executor broke when {arrived:,} of {len(parts):,} parts were done: one of its processes died, and it "
            "cannot replace it. Run again with a new one; with checkpoint= what is done stays done"
        ) from error
    finally:
        for future in waiting:
            future.cancel()
        pool.close()


class _Pool(Protocol):
    lost: tuple[type[BaseException], ...]

    def most_waiting(self, arrived: int) -> int:
        """How many tasks are sent before one is back."""

    def send(self, part: range) -> Future[Any]:
        """Send a part; None comes back where the worker lacks the work."""

    def send_whole(self, part: range) -> Future[Any]:
        """Send a part together with the work."""

    def renew(self) -> None:
        """Make good what a lost worker held."""

    def close(self) -> None:
        """Let go of what the workers were given."""


#: The work that a process holds, by its digest.
_held: dict[str, Work] = {}


def _of_held(key: str, whole: bytes | None, part: range) -> Any:
    """Work a part out, in a worker."""
    if whole is not None and key not in _held:
        _held.clear()
        _held[key] = pickle.loads(whole)
    work = _held.get(key)
    return None if work is None else work(part)


class _Workers:
    """Any executor. It cannot say which worker takes a task, so a task names its work, and a worker without asks."""

    lost = _LOST

    def __init__(self, work: Work, executor: Executor) -> None:
        self._executor = executor
        self._whole = pickle.dumps(work, protocol=pickle.HIGHEST_PROTOCOL)
        self._key = hashlib.sha256(self._whole).hexdigest()
        self._places = places(executor)
        _held[self._key] = work  # for threads, and for processes that are forked from now on

    def most_waiting(self, arrived: int) -> int:
        # At first one each: further ones would ask for the work before it has come.
        return self._places * (4 if arrived else 1)

    def send(self, part: range) -> Future[Any]:
        return self._executor.submit(_of_held, self._key, None, part)

    def send_whole(self, part: range) -> Future[Any]:
        return self._executor.submit(_of_held, self._key, self._whole, part)

    def renew(self) -> None:
        """A new worker asks by itself."""

    def close(self) -> None:
        _held.pop(self._key, None)


def _of_sent(work: Work, part: range) -> Any:
    return work(part)


class _Cluster:
    """A client of dask, which brings the work to each worker once, and to new ones from the others."""

    def __init__(self, work: Work, client: Any) -> None:
        distributed = sys.modules["distributed"]
        self.lost = (*_LOST, distributed.scheduler.KilledWorker, distributed.CancelledError)
        self._client, self._work = client, work
        self._executor = client.get_executor(pure=False)
        self.renew()

    def most_waiting(self, arrived: int) -> int:
        return 1_000  # it sees how much there is to do, and may add workers

    def send(self, part: range) -> Future[Any]:
        sent: Future[Any] = self._executor.submit(_of_sent, self._sent, part)
        return sent

    send_whole = send

    def renew(self) -> None:
        self._sent = self._client.scatter(self._work, broadcast=True, hash=False)

    def close(self) -> None:
        self._sent.release()


def _is_client(executor: object) -> bool:
    distributed = sys.modules.get("distributed")
    return distributed is not None and isinstance(executor, distributed.Client)
