"""Evaluation on a pool of long-lived Ray actors, on this machine or on a cluster.

Each actor loads torch once and holds the evaluator, data included, for as long as it lives; a trial then costs one
actor call (well under a millisecond) instead of a process start. A trial whose actor died is handed out again. It is
given up as ``lost`` when it keeps killing its worker; that a node went away is not its fault, and is counted apart.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, final

from controllers.trial import Measurement, Trial
from nas.evaluators.evaluator import Evaluator
from nas.executors.executor import Completion, Executor
from nas.executors.limits import ATTEMPTS, lost
from nas.executors.ray_cluster import RayOptions, connect, import_ray
from nas.executors.ray_pool import CHECK_S, Member, Pool

__all__ = ["ATTEMPTS", "RayExecutor", "RayOptions"]

LOST_NODES = 20  # a trial whose node went away this often is given up: it may be what takes them down


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A trial in line: how often it took a worker down, and how often it went down with a node."""

    trial: Trial
    deaths: int = 0
    lost_nodes: int = 0


@dataclass(frozen=True, slots=True)
class _Call:
    """A trial in work: on which actor, and since when."""

    waited: _Waiting
    member: Member
    begun: float

    @property
    def seconds(self) -> float:
        """How long it has been in work."""
        return time.monotonic() - self.begun


@final
class RayExecutor(Executor):
    """A pool of actors; trials beyond its size wait in line."""

    def __init__(
        self, evaluator: Evaluator, options: RayOptions, said: Callable[[str], None] = lambda text: None
    ) -> None:
        """Start or join Ray and make the actors.

        Args:
            evaluator: what the actors hold.
            options: how many, and where.
            said: told what a user should know of a start that goes on for long.

        Raises:
            MissingDependencyError: Ray is not installed.
            InvalidInputError: more workers than the machine can hold, or no room for any.
            NASError: the cluster cannot be reached.
        """
        self._ray = import_ray(own=options.address is None)
        self._limits = options.limits
        self._pool: Pool | None = None
        self._owns_ray = not self._ray.is_initialized()
        if self._owns_ray:
            connect(self._ray, options, said)
        try:
            self._pool = Pool(self._ray, evaluator, options)
        except BaseException:
            self.close()
            raise
        self._queue: deque[_Waiting] = deque()
        self._calls: dict[Any, _Call] = {}

    @property
    def num_workers(self) -> int:
        """Actors that the cluster has room for now, up to those asked for."""
        return self._workers.num_workers

    def submit(self, trial: Trial) -> None:
        """Hand a trial to an idle actor, or put it in line."""
        self._queue.append(_Waiting(trial))
        self._hand_out()

    def wait(self, timeout_s: float) -> list[Completion]:
        """Return what the first actors to finish found, and the trials that went beyond a limit."""
        if not self._calls and not self._queue:
            return []
        self._workers.refresh()
        self._hand_out()
        references = [*self._calls, *self._workers.references]
        ready, _ = self._ray.wait(references, num_returns=1, timeout=self._patience(timeout_s))
        completions = []
        for reference in ready:
            done = self._collect(reference) if reference in self._calls else self._heard(reference)
            completions += [done] if done else []
        completions += self._stop_overdue()
        self._hand_out()
        return completions

    def close(self) -> None:
        """Kill the actors; stop Ray if it was started here."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None
        if self._owns_ray:
            self._ray.shutdown()
            self._owns_ray = False

    @property
    def _workers(self) -> Pool:
        assert self._pool is not None, "the executor is closed"
        return self._pool

    def _patience(self, timeout_s: float) -> float:
        """Return how long to wait: up to the first time limit, and not so long that changes go unnoticed."""
        if self._limits.seconds is not None:
            left = [self._limits.seconds - call.seconds for call in self._calls.values()]
            timeout_s = min([timeout_s, *left])
        return max(0.0, min(timeout_s, CHECK_S))

    def _hand_out(self) -> None:
        while self._queue and (member := self._workers.take()) is not None:
            waited = self._queue.popleft()
            reference = member.actor.evaluate.remote(waited.trial)
            self._calls[reference] = _Call(waited, member, time.monotonic())

    def _collect(self, reference: Any) -> Completion | None:
        """Return a finished call's result, or None when its trial is to be tried again."""
        call = self._calls.pop(reference)
        try:
            measurement: Measurement = self._ray.get(reference)
        except self._ray.exceptions.OutOfMemoryError as error:  # Ray's own watch over the node
            self._workers.replace(call.member)
            return _completion(call, Measurement("out_of_memory", seconds=call.seconds, error=str(error)))
        except self._ray.exceptions.RayError as error:
            return self._died(call, error)
        self._workers.give_back(call.member)
        return _completion(call, measurement)

    def _died(self, call: _Call, error: Exception) -> Completion | None:
        """Put a trial whose actor died back in line, unless it has been there too often."""
        with_node = self._workers.is_lost_with_node(call.member, error)
        self._workers.replace(call.member)
        waited = call.waited
        if with_node:
            again = replace(waited, lost_nodes=waited.lost_nodes + 1)
        else:
            again = replace(waited, deaths=waited.deaths + 1)
        if again.lost_nodes >= LOST_NODES:
            text = f"its node went away {LOST_NODES} times, last: {error}"
            return _completion(call, Measurement("lost", seconds=call.seconds, error=text))
        if again.deaths >= ATTEMPTS:
            return _completion(call, replace(lost(error), seconds=call.seconds))
        self._queue.appendleft(again)
        return None

    def _heard(self, reference: Any) -> Completion | None:
        """Take in what the pool's own references say; return the trial that takes too much memory."""
        heavy = self._workers.heard(reference)
        if heavy is None:
            return None
        member, taken = heavy
        guilty = [(key, call) for key, call in self._calls.items() if call.member is member]
        if guilty and self._ray.wait([guilty[0][0]], timeout=0)[0]:  # it ended all the same
            done = self._collect(guilty[0][0])
            self._workers.replace(member)
            return done
        self._workers.replace(member)
        if not guilty:
            return None
        key, call = guilty[0]
        del self._calls[key]
        return _completion(call, self._limits.outgrown(taken_bytes=taken, seconds=call.seconds))

    def _stop_overdue(self) -> list[Completion]:
        """Stop what has been in work for too long, by killing its process; what ended just now counts."""
        late = [key for key, call in self._calls.items() if self._limits.is_over(seconds=call.seconds)]
        completions = []
        for reference in late:
            if self._ray.wait([reference], timeout=0)[0]:
                done = self._collect(reference)
                completions += [done] if done else []
                continue
            call = self._calls.pop(reference)
            self._workers.replace(call.member)
            completions.append(_completion(call, self._limits.timed_out(seconds=call.seconds)))
        return completions


def _completion(call: _Call, measurement: Measurement) -> Completion:
    return Completion(call.waited.trial, measurement, call.member.name)
