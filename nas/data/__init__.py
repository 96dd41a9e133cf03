"""Images in memory, their splits, batches and augmentation. Libraries that read files are imported when one is read."""

from nas.data.augmentation import Augmentation
from nas.data.batching import batches, count_batches
from nas.data.image_data import ImageData, Split, merge_train_validation
from nas.data.registry import DATASETS, get_dataset, load_data

__all__ = [
    "DATASETS",
    "Augmentation",
    "ImageData",
    "Split",
    "batches",
    "count_batches",
    "get_dataset",
    "load_data",
    "merge_train_validation",
]
