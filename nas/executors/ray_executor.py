"""Evaluation on a pool of long-lived Ray actors, on this machine or on a cluster.

Each actor loads torch once and holds the evaluator, data included, for as long as it lives; a trial then costs one
actor call (well under a millisecond) instead of a process start. A trial whose actor died is handed out again. It is
given up as ``lost`` when it keeps killing its worker; that a node went away is not its fault, and is counted apart.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any, final

from controllers.trial import Measurement, Trial
from nas.evaluators.evaluator import Evaluator
from nas.executors.executor import Completion, Executor
from nas.executors.limits import ATTEMPTS, lost
from nas.executors.ray_calls import Call, Calls, Waiting
from nas.executors.ray_cluster import RayOptions, connect, import_ray
from nas.executors.ray_pool import CHECK_S, Member, Pool

__all__ = ["ATTEMPTS", "RayExecutor", "RayOptions"]

LOST_NODES = 20  # a trial whose node went away this often is given up: it may be what takes them down


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
        self._queue: deque[Waiting] = deque()
        self._calls = Calls()

    @property
    def num_workers(self) -> int:
        """Actors that the cluster has room for now, up to those asked for."""
        return self._workers.num_workers

    @property
    def capacity(self) -> int:
        """One trial for each actor, and another that waits there while trials are brief."""
        return self.num_workers * (2 if self._calls.are_brief else 1)

    def submit(self, trial: Trial) -> None:
        """Hand a trial to an idle actor, or put it in line."""
        self._queue.append(Waiting(trial))
        self._hand_out()

    def wait(self, timeout_s: float) -> list[Completion]:
        """Return what the first actors to finish found, and the trials that went beyond a limit."""
        if not self._calls and not self._queue:
            return []
        self._workers.refresh()
        self._hand_out()
        for call in self._calls.overdue_waits():
            call.member.actor.recall.remote(call.waited.trial.number)
        references = [*self._calls.references, *self._workers.references]
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
            left = [self._limits.seconds - call.seconds for call in self._calls.in_work.values()]
            timeout_s = min([timeout_s, *left])
        return max(0.0, min(timeout_s, CHECK_S))

    def _hand_out(self) -> None:
        """Give trials to actors that idle; brief ones also to actors that will soon."""
        while self._queue:
            member = self._workers.take()
            if member is None and self._calls.are_brief:
                member = self._calls.lone_member()
            if member is None:
                return
            waited = self._queue.popleft()
            self._calls.add(member.actor.evaluate.remote(waited.trial), waited, member)

    def _collect(self, reference: Any) -> Completion | None:
        """Return a finished call's result, or None when its trial is to be tried again."""
        known, member = self._ray.exceptions, self._calls[reference].member
        try:
            measurement: Measurement | None = self._ray.get(reference)
        except known.RayError as error:
            first = self._calls.first_of(member)
            if first != reference:  # the actor died with an earlier trial
                return self._collect(first)
            call = self._calls.pop(reference)
            if isinstance(error, known.OutOfMemoryError):  # Ray's own watch over the node
                self._replace(member)
                return _completion(call, Measurement("out_of_memory", seconds=call.seconds, error=str(error)))
            return self._died(call, error)
        call = self._calls.pop(reference)
        if self._calls.first_of(member) is None:
            self._workers.give_back(member)
        if measurement is None:  # called back
            self._queue.appendleft(call.waited)
            return None
        return _completion(call, measurement)

    def _replace(self, member: Member) -> None:
        """Kill an actor, and have what waited there wait here again."""
        self._queue.extendleft(reversed(self._calls.drop_line(member)))
        self._workers.replace(member)

    def _died(self, call: Call, error: Exception) -> Completion | None:
        """Put a trial whose actor died back in line, unless it has been there too often."""
        with_node = self._workers.is_lost_with_node(call.member, error)
        self._replace(call.member)
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
        guilty = self._calls.first_of(member)
        done = None
        if guilty is not None and self._ray.wait([guilty], timeout=0)[0]:  # it ended all the same
            done = self._collect(guilty)
        elif guilty is not None:
            call = self._calls.pop(guilty)
            done = _completion(call, self._limits.outgrown(taken_bytes=taken, seconds=call.seconds))
        self._replace(member)
        return done

    def _stop_overdue(self) -> list[Completion]:
        """Stop what has been in work for too long, by killing its process; what ended just now counts."""
        late = [key for key, call in self._calls.in_work.items() if self._limits.is_over(seconds=call.seconds)]
        completions = []
        for reference in late:
            if self._ray.wait([reference], timeout=0)[0]:
                done = self._collect(reference)
                completions += [done] if done else []
                continue
            call = self._calls.pop(reference)
            self._replace(call.member)
            completions.append(_completion(call, self._limits.timed_out(seconds=call.seconds)))
        return completions


def _completion(call: Call, measurement: Measurement) -> Completion:
    return Completion(call.waited.trial, measurement, call.member.name)
