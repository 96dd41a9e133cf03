"""The plain loop trains the same function from the same weights as the engine does."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from nas.benchmarking.engine import STREAMS
from nas.benchmarking.engine.plain_loop import plain_source, train_plainly
from nas.errors import InvalidInputError
from nas.evaluators.training_evaluator import build_seeded
from nas.training.clock import NO_CLOCK, PhaseClock
from nas.training.recipe import Recipe
from nas.training.training_loop import measure_accuracy, train

STREAM = STREAMS["tiny"].with_epochs(1)


@pytest.fixture(scope="module")
def data():  # type: ignore[no-untyped-def]
    return replace(STREAM.load().with_train_limit(128))


def test_without_chance_both_end_alike(data) -> None:  # type: ignore[no-untyped-def]
    """One batch of all images, unchanged: the order in a batch does not matter, so nothing is left to chance."""
    recipe = replace(STREAM.recipe, epochs=3, batch_size=len(data.train), augment=False, decayed="all")
    (trial,) = STREAM.trials(1)
    network = build_seeded(STREAM.search_space, STREAM.blueprint(trial, data), data=data, recipe=recipe, seed=1)
    source, weights = plain_source(network, data), {k: v.clone() for k, v in network.state_dict().items()}
    train(network, data, recipe=recipe, seed=2)
    clock = PhaseClock()
    plain = train_plainly(source, weights, data, recipe=recipe, seed=3, clock=clock)
    ours = measure_accuracy(network, data, data.validation).share
    assert plain.val_accuracy == pytest.approx(ours, abs=1.5 / len(data.validation))  # one image may be on the edge
    assert all(seconds > 0 for seconds in clock.seconds.values())


def test_what_the_loop_has_not_is_refused(data) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InvalidInputError, match=r"plain loop trains without label_smoothing, got 0\.1"):
        train_plainly("", {}, data, recipe=Recipe("x", 1, label_smoothing=0.1), seed=0, clock=NO_CLOCK)


def test_first_weights_are_the_engines(data) -> None:  # type: ignore[no-untyped-def]
    (trial,) = STREAM.trials(1)
    network = build_seeded(STREAM.search_space, STREAM.blueprint(trial, data), data=data, recipe=STREAM.recipe, seed=1)
    names: dict[str, object] = {}
    exec(compile(plain_source(network, data), "network.py", "exec"), names)
    plain = names["build"]()  # type: ignore[operator]
    plain.load_state_dict(network.state_dict())
    images = data.normalise(data.validation.images[:8])
    torch.testing.assert_close(plain.eval()(images), network.eval()(images), rtol=1e-4, atol=1e-5)
