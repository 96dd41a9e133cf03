"""A recording of tensor operations on a CPU that behaves as a CUDA graph does, for tests of what is recorded.

Memory and numbers are frozen: a repetition runs the recorded operations on the recorded tensors, whatever Python's
variables have become. Reading a tensor's value while recording is refused. Recording leaves all tensors and the
generator as they were.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from nas.training.capturing import Capture, CaptureError

UNDECLARED = {"running_mean", "running_var"}  # which normalisation changes though its schema does not say so
READS = {"_local_scalar_dense", "nonzero", "equal", "is_nonzero"}


@dataclass(frozen=True)
class Operation:
    function: Any
    args: Any
    kwargs: Any
    results: list[Tensor]

    def repeat(self) -> None:
        again = [x for x in tree_leaves(self.function(*self.args, **self.kwargs)) if isinstance(x, Tensor)]
        for old, new in zip(self.results, again, strict=True):
            if old is not new and old.data_ptr() != new.data_ptr():
                old.copy_(new)


def _place(x: Tensor) -> int:
    return x.untyped_storage().data_ptr()


class Recorder(TorchDispatchMode):
    """Keeps operations, and what tensors held before the first of them changed them."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[Operation] = []
        self.before: dict[Any, tuple[Tensor, Tensor]] = {}
        self.own: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func.overloadpacket.__name__ in READS:
            raise RuntimeError("operation not permitted when stream is capturing")
        self._keep(func, args, kwargs)
        results = func(*args, **kwargs)
        tensors = [x for x in tree_leaves(results) if isinstance(x, Tensor)]
        given = {_place(x) for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)}
        self.own.update({_place(x) for x in tensors} - given)  # views are of what was there
        self.operations.append(Operation(func, args, kwargs, tensors))
        return results

    def _keep(self, func: Any, args: Any, kwargs: Any) -> None:
        given = dict(zip((a.name for a in func._schema.arguments), args, strict=False)) | kwargs
        for argument in func._schema.arguments:
            declared = argument.alias_info is not None and argument.alias_info.is_write
            if declared or argument.name in UNDECLARED:
                for x in tree_leaves(given.get(argument.name)):
                    if isinstance(x, Tensor) and _place(x) not in self.own:
                        self.before.setdefault((x.data_ptr(), x.shape, x.stride()), (x.detach(), x.detach().clone()))

    def put_back(self) -> None:
        for tensor, value in reversed(self.before.values()):
            tensor.copy_(value)


@final
class TapeCapture(Capture):
    """Records operations; counts what it was asked for."""

    def __init__(self) -> None:
        self.warmed, self.recorded, self.repeated = 0, 0, 0

    def warm_up(self, function: Callable[[], None]) -> str:
        self.warmed += 1
        function()
        return ""

    def record(self, function: Callable[[], None]) -> Callable[[], None]:
        host, recorder = torch.get_rng_state(), Recorder()
        try:
            with recorder:
                function()
        except RuntimeError as error:
            raise CaptureError(str(error)) from error
        finally:
            torch.set_rng_state(host)
            with torch.no_grad():
                recorder.put_back()
        self.recorded += 1

        def replay() -> None:
            self.repeated += 1
            with torch.no_grad():
                for operation in recorder.operations:
                    operation.repeat()

        return replay
