"""A trial as the configuration that Tune hands to a trainable, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from controllers.trial import Trial
from nas.errors import InvalidInputError
from search_spaces.architecture import Architecture
from search_spaces.space import SearchSpace

TRIAL = "nas_trial"


def config_of(space: SearchSpace, trial: Trial) -> dict[str, Any]:
    """Return the chosen options by decision, and under `TRIAL` the trial itself as JSON text.

    Text, because Tune takes nested values apart for its tables and folder names.

    Raises:
        InvalidInputError: a decision has the name that the trial needs.
    """
    options = space.options(trial.architecture)
    if TRIAL in options:
        raise InvalidInputError(f"no decision can be called {TRIAL!r} in Ray Tune: rename it in {space.name!r}.")
    return {**options, TRIAL: json.dumps(trial.to_json(), separators=(",", ":"))}


def trial_from(config: Mapping[str, Any]) -> Trial:
    """Return the trial that a trainable is to evaluate, with its budget where the controller gave it one.

    Args:
        config: what Tune called the trainable with, or the ``config`` of one of its results.

    Raises:
        InvalidInputError: it does not come from a `NASSearcher`.
    """
    if not isinstance(config.get(TRIAL), str):
        raise InvalidInputError(
            f"a configuration of a NASSearcher has the key {TRIAL!r}, got {', '.join(map(repr, config)) or 'none'}: "
            "give the tuner search_alg=NASSearcher(...)."
        )
    try:
        return Trial.from_json(json.loads(config[TRIAL]))
    except json.JSONDecodeError as error:
        raise InvalidInputError(f"the configuration's {TRIAL!r} is no JSON ({error}): leave it as it came.") from None


def architecture_from(config: Mapping[str, Any]) -> Architecture:
    """Return the architecture that a trainable is to build.

    Args:
        config: as for `trial_from`.

    Raises:
        InvalidInputError: it does not come from a `NASSearcher`.
    """
    return trial_from(config).architecture
