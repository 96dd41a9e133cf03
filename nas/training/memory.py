"""Memory that does not suffice: how torch says so, and how to go on with smaller parts of a batch."""

from __future__ import annotations

import gc
from dataclasses import replace

import torch

from nas.training.recipe import Recipe

# torch's CPU allocator and CUDA's libraries report exhaustion as a plain RuntimeError
EXHAUSTED = ("not enough memory", "can't allocate memory", "out of memory", "STATUS_ALLOC_FAILED")


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory is at its end, of a GPU or of the machine."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in EXHAUSTED)


def release_memory() -> None:
    """Free what nothing refers to any more; to be called outside the handler, whose error refers to the network."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def halve_parts(recipe: Recipe, *, images: int) -> Recipe | None:
    """Return a recipe that computes every batch in twice as many parts; None where a part is one image already.

    A step sees the batch that it saw before, so the learning rate stays right for it; only batch normalisation sees
    fewer images at once.

    Args:
        recipe: how the network was trained until memory ended.
        images: that there are to train on, which bound a batch.
    """
    if recipe.accumulation * 2 > min(recipe.batch_size, images):
        return None
    return replace(recipe, accumulation=recipe.accumulation * 2)
