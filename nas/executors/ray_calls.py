"""Trials that were handed to actors: each actor works on the first of its line, and others may wait there.

Between two trials an actor idles for as long as a result and the next trial take on their way, some milliseconds. That
is nothing to a training and a tenth of a trial of 50 ms, so brief trials wait at their actor instead of here. One that
turns out to wait for a long trial is called back.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import Any, final

from controllers.trial import Trial
from nas.executors.ray_pool import Member

BRIEF_S = 0.5  # the way to an actor and back is a hundredth of it
RECENT = 8  # ended trials that all have to be brief
PATIENCE_S = 1.0  # a trial waits no longer for the one before it


@dataclass(frozen=True, slots=True)
class Waiting:
    """A trial in line: how often it took a worker down, and how often it went down with a node."""

    trial: Trial
    deaths: int = 0
    lost_nodes: int = 0


@dataclass(slots=True)
class Call:
    """A trial at an actor.

    Attributes:
        waited: the trial.
        member: the actor.
        begun: when it became the first of the actor's line, on the monotonic clock; None before that.
    """

    waited: Waiting
    member: Member
    begun: float | None = None

    @property
    def seconds(self) -> float:
        """How long it has been in work."""
        return 0.0 if self.begun is None else time.monotonic() - self.begun


@final
class Calls:
    """The calls of all actors by their references; a line is in the order in which its actor gets to them."""

    def __init__(self) -> None:
        """Hold none."""
        self._calls: dict[Any, Call] = {}
        self._lines: dict[Member, list[Any]] = {}
        self._durations: deque[float] = deque(maxlen=RECENT)

    def __len__(self) -> int:
        """Calls in work and waiting."""
        return len(self._calls)

    def __contains__(self, reference: Any) -> bool:
        """Whether it is a call's."""
        return reference in self._calls

    def __getitem__(self, reference: Any) -> Call:
        """Return a call."""
        return self._calls[reference]

    @property
    def references(self) -> list[Any]:
        """What becomes ready when a call ends."""
        return list(self._calls)

    @property
    def in_work(self) -> dict[Any, Call]:
        """The first call of every line."""
        return {line[0]: self._calls[line[0]] for line in self._lines.values()}

    @property
    def are_brief(self) -> bool:
        """Whether trials are so short that one should wait at each actor."""
        return (
            len(self._durations) == RECENT
            and max(self._durations) < BRIEF_S
            and all(call.seconds < BRIEF_S for call in self.in_work.values())
        )

    def add(self, reference: Any, waited: Waiting, member: Member) -> None:
        """Put a call at the end of its actor's line."""
        line = self._lines.setdefault(member, [])
        self._calls[reference] = Call(waited, member, None if line else time.monotonic())
        line.append(reference)

    def pop(self, reference: Any) -> Call:
        """Take a call that ended, or was called back, out of its line; the next one is in work now."""
        call = self._calls.pop(reference)
        line = self._lines[call.member]
        was_first = line[0] == reference
        line.remove(reference)
        if was_first:
            self._durations.append(call.seconds)
        if not line:
            del self._lines[call.member]
        elif was_first:
            self._calls[line[0]].begun = time.monotonic()
        return call

    def first_of(self, member: Member) -> Any:
        """Return the reference of what an actor works on, or None."""
        return self._lines[member][0] if member in self._lines else None

    def drop_line(self, member: Member) -> list[Waiting]:
        """Forget what waits at an actor that is no more, and return it in its order."""
        return [self._calls.pop(reference).waited for reference in self._lines.pop(member, [])]

    def lone_member(self) -> Member | None:
        """Return an actor where nothing waits behind the trial in work, or None."""
        lone = (member for member, line in self._lines.items() if len(line) == 1)
        return next(lone, None)

    def overdue_waits(self) -> list[Call]:
        """Return the calls that have waited too long for the one before them."""
        late = [call.member for call in self.in_work.values() if call.seconds > PATIENCE_S]
        return [self._calls[reference] for member in late for reference in self._lines[member][1:]]
