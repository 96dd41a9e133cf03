"""The controllers inside Ray Tune, for those who live in Tune; needs the package ``ray[tune]``.

>>> tuner = tune.Tuner(
...     nas_trainable("nasnet", data="digits", epochs=9),
...     tune_config=tune.TuneConfig(search_alg=NASSearcher("nasnet", "predictor"), num_samples=24),
... )

Our own engine costs 0.2 ms a trial where Tune starts a process for each: `nas.search` needs nothing of this.
"""

from __future__ import annotations

import os

from nas.errors import MissingDependencyError

os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # leave GPU visibility alone, and say nothing
try:
    import ray.tune  # noqa: F401 - so that it is missed here, in words
except ImportError as error:
    raise MissingDependencyError(
        "controllers inside Ray Tune need the package ray, which is not installed: run `pip install 'ray[tune]'`."
    ) from error

from nas.tuning.searcher import NASSearcher
from nas.tuning.trainable import evaluator_trainable, nas_trainable
from nas.tuning.trial_config import architecture_from, trial_from

__all__ = ["NASSearcher", "architecture_from", "evaluator_trainable", "nas_trainable", "trial_from"]
