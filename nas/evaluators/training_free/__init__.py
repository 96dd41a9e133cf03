"""Training-free ("zero-cost") scores: a network's worth from its shape, or from one pass at its first weights.

They cost a second instead of an hour and say less. All are evaluators, so every controller can search by them.
"""

from nas.evaluators.training_free.evaluation import TrainingFreeEvaluator
from nas.evaluators.training_free.minibatch import Minibatch, draw_minibatch
from nas.evaluators.training_free.registry import TRAINING_FREE, make_training_free
from nas.evaluators.training_free.score import TrainingFreeScore, UnscorableError

__all__ = [
    "TRAINING_FREE",
    "Minibatch",
    "TrainingFreeEvaluator",
    "TrainingFreeScore",
    "UnscorableError",
    "draw_minibatch",
    "make_training_free",
]
