"""Several processes that train one network: who they are, and what they tell each other.

Each computes its share of every batch, and gradients are averaged (torch's DistributedDataParallel), so that they train
as one process would on whole batches, up to rounding and to batch normalisation, which sees a process' share. On GPUs
batch normalisation is synchronised.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn


@dataclass(frozen=True, slots=True)
class Processes:
    """This process among those that train together.

    Attributes:
        rank: its number, from 0; the first one writes files.
        count: of all.
    """

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def wait(self) -> None:
        """Wait until all are here."""
        if self.count > 1:
            distributed.barrier()

    def agree(self, value: str) -> str:
        """Return the first process' value, in all."""
        values = [value]
        if self.count > 1:
            distributed.broadcast_object_list(values, 0)
        return values[0]

    def mean(self, value: Tensor) -> Tensor:
        """Return the mean of a value over all processes."""
        if self.count > 1:
            distributed.all_reduce(value)
            value = value / self.count
        return value

    def share_buffers(self, network: nn.Module) -> None:
        """Give every process the first one's running statistics."""
        if self.count > 1:
            for buffer in network.buffers():
                distributed.broadcast(buffer, 0)


ALONE = Processes()


def join_processes(device: str) -> tuple[Processes, str]:
    """Join those that torchrun started, if it did; return who this is, and its device.

    Gloo connects processes on CPUs, NCCL those on GPUs, each of which has a GPU by its local rank.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        return ALONE, device
    on_gpu = torch.device(device).type == "cuda"
    if on_gpu:
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
        torch.cuda.set_device(device)
    if not distributed.is_initialized():
        distributed.init_process_group("nccl" if on_gpu else "gloo")
    return Processes(distributed.get_rank(), distributed.get_world_size()), device


def leave_processes() -> None:
    """End what `join_processes` began; nothing where there was only one."""
    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()
