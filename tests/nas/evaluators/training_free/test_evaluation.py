"""Every training-free score as an evaluator: the contract, on cells of two spaces at the size of digits."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from controllers.trial import Measurement, Trial
from nas.data import load_data
from nas.data.image_data import ImageData
from nas.errors import InvalidInputError, UnknownNameError
from nas.evaluators.evaluator import evaluate_safely
from nas.evaluators.training_free import (
    TRAINING_FREE,
    Minibatch,
    TrainingFreeEvaluator,
    draw_minibatch,
    make_training_free,
)
from search_spaces.architecture import Architecture, Blueprint, Complexity, Decision
from search_spaces.nasbench201 import PUBLISHED_CELLS, NasBench201Space
from search_spaces.nasnet import cell_space
from search_spaces.space import SearchSpace
from search_spaces.table import TableSpace

NASNET, CELLS = cell_space("nasnet:blocks=2"), NasBench201Space()
TRIALS = {
    "nasnet": (NASNET, Trial(3, NASNET.sample(np.random.default_rng(0)))),
    "nasbench201": (CELLS, Trial(3, CELLS.from_string(PUBLISHED_CELLS["best"]))),
}
NAMES = tuple(TRAINING_FREE)
COUNTS = ("params", "macs")
DRAWN = tuple(name for name in NAMES if name not in COUNTS)


def blueprint(architecture: Architecture) -> Blueprint:
    return Blueprint(architecture, 8, channels=1, classes=10, stem="tiny", depth=1, width=4)


@pytest.fixture(scope="module")
def digits() -> ImageData:
    return load_data("digits", train_limit=200).for_search()


@pytest.fixture
def make(digits: ImageData) -> Callable[..., TrainingFreeEvaluator]:
    """Return a function: score, space -> evaluator."""

    def made(name: str, where: str = "nasbench201", *, seed: int = 1, device: str = "cpu") -> TrainingFreeEvaluator:
        space, trial = TRIALS[where]
        evaluator = make_training_free(name, space, blueprint(trial.architecture), digits, seed=seed, device=device)
        assert isinstance(evaluator, TrainingFreeEvaluator)
        return evaluator

    return made


Make = Callable[..., TrainingFreeEvaluator]


class Plain(SearchSpace):
    """One decision, of how many outputs a single linear layer has; networks without ReLU or feature maps."""

    def __init__(self) -> None:
        super().__init__("plain", [Decision("bias", (False, True))])

    def key(self, architecture: Architecture) -> str:
        return str(architecture.choices)

    def build(self, blueprint: Blueprint) -> nn.Module:
        assert isinstance(blueprint.network, Architecture)
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 10, bias=bool(blueprint.network.choices[0])))

    def complexity(self, blueprint: Blueprint) -> Complexity:
        return Complexity(640, 640)


@pytest.mark.parametrize("where", TRIALS)
@pytest.mark.parametrize("name", NAMES)
def test_score_and_cost_are_plain_finite_numbers(name: str, where: str, make: Make) -> None:
    space, trial = TRIALS[where]
    found = make(name, where).evaluate(trial)
    cost = space.complexity(blueprint(trial.architecture))
    assert found.ok, found.error
    assert found.metrics.keys() == {name, *COUNTS}
    assert all(type(value) in (int, float) for value in found.metrics.values())
    assert (found.metrics["params"], found.metrics["macs"]) == (cost.params, cost.macs)
    assert 0 < found.seconds < 60


@pytest.mark.parametrize("where", TRIALS)
def test_params_are_those_of_the_network(where: str, make: Make) -> None:
    space, trial = TRIALS[where]
    network = space.build(blueprint(trial.architecture))
    counted = sum(parameter.numel() for parameter in network.parameters())
    assert make("params", where).evaluate(trial).metrics["params"] == counted


@pytest.mark.parametrize("name", NAMES)
def test_same_trial_scores_the_same_also_after_a_journey(name: str, make: Make) -> None:
    _, trial = TRIALS["nasbench201"]
    here, there = make(name), pickle.loads(pickle.dumps(make(name)))
    assert here.evaluate(trial).metrics == there.evaluate(trial).metrics


@pytest.mark.parametrize("name", DRAWN)
def test_another_number_and_another_seed_draw_others(name: str, make: Make) -> None:
    _, trial = TRIALS["nasbench201"]
    trials = (trial, replace(trial, number=4))
    found = [make(name, seed=seed).evaluate(t).metrics[name] for seed in (1, 2) for t in trials]
    assert len(set(found)) == 4


@pytest.mark.parametrize("name", NAMES)
def test_budget_says_nothing(name: str, make: Make) -> None:
    _, trial = TRIALS["nasbench201"]
    assert make(name).evaluate(replace(trial, budget=5)).metrics == make(name).evaluate(trial).metrics


@pytest.mark.parametrize("name", NAMES)
def test_equal_networks_drawn_differently_score_the_same(name: str, make: Make) -> None:
    """What lets a stored result stand for a new drawing of the same network."""
    _, trial = TRIALS["nasnet"]
    swapped = dict(NASNET.options(trial.architecture))
    for what in ("state", "operation"):
        left, right = f"normal_block0_left_{what}", f"normal_block0_right_{what}"
        swapped[left], swapped[right] = swapped[right], swapped[left]
    twin = NASNET.from_options(swapped)
    assert twin != trial.architecture
    assert NASNET.key(twin) == NASNET.key(trial.architecture)
    evaluator = make(name, "nasnet")
    assert evaluator.evaluate(replace(trial, architecture=twin)).metrics == evaluator.evaluate(trial).metrics


@pytest.mark.parametrize("name", NAMES)
def test_auxiliary_head_is_never_scored(name: str, make: Make) -> None:
    evaluator, (_, trial) = make(name, "nasnet"), TRIALS["nasnet"]
    with_head = replace(evaluator, blueprint=replace(evaluator.blueprint, auxiliary=True))
    assert with_head.evaluate(trial).metrics == evaluator.evaluate(trial).metrics


@pytest.mark.parametrize("name", NAMES)
def test_global_generators_stay_as_they_are(name: str, make: Make) -> None:
    evaluator, (_, trial) = make(name), TRIALS["nasbench201"]
    before = torch.get_rng_state()
    evaluator.evaluate(trial)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", DRAWN)
def test_network_handed_in_stays_as_it_is(name: str, digits: ImageData) -> None:
    _, trial = TRIALS["nasbench201"]
    network = CELLS.build(blueprint(trial.architecture))
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    TRAINING_FREE[name].measure(network, draw_minibatch(digits, seed=0), generator=torch.Generator().manual_seed(0))
    assert all(torch.equal(tensor, before[key]) for key, tensor in network.state_dict().items())
    assert all(parameter.grad is None and parameter.dtype == torch.float32 for parameter in network.parameters())
    assert network.training


@pytest.mark.parametrize("name", DRAWN)
def test_scores_where_gradients_are_off(name: str, make: Make) -> None:
    evaluator, (_, trial) = make(name), TRIALS["nasbench201"]
    with torch.no_grad():
        found = evaluator.evaluate(trial)
    assert found.metrics == evaluator.evaluate(trial).metrics


def test_travels_without_the_training_images(make: Make, digits: ImageData) -> None:
    """64 images of 8 x 8 float32 are 16 KiB; a count needs none."""
    assert len(pickle.dumps(make("naswot"))) < 32_000
    assert make("params").batch is None


@pytest.mark.parametrize("name", ["synflow", "zen", "jacov"])
def test_cell_that_nothing_passes_fails_in_words(name: str, make: Make) -> None:
    """An all-zero cell leaves logits that do not depend on the image."""
    found = make(name).evaluate(Trial(0, CELLS.architecture([0] * 6)))
    assert found.status == "error"
    assert found.error.startswith(f"the {name} score is")
    assert found.metrics.keys() == set(COUNTS)


@pytest.mark.parametrize(("name", "text"), [("naswot", "none ran in this network"), ("zen", "this network has none")])
def test_network_without_the_part_that_is_looked_at_fails_in_words(name: str, text: str, digits: ImageData) -> None:
    space = Plain()
    architecture = space.architecture([1])
    found = make_training_free(name, space, blueprint(architecture), digits, seed=0).evaluate(Trial(0, architecture))
    assert found.status == "error"
    assert text in found.error
    assert "Traceback" not in found.error


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_number_that_is_not_finite_is_a_failure(value: float, make: Make) -> None:
    def compute(network: nn.Module, batch: Minibatch, *, generator: torch.Generator) -> float:
        return value

    evaluator = make("synflow")
    broken = replace(evaluator, score=replace(evaluator.score, compute=compute))
    found = broken.evaluate(TRIALS["nasbench201"][1])
    assert (found.status, str(value) in found.error) == ("error", True)


def test_network_that_breaks_is_a_measurement(make: Make) -> None:
    evaluator, (_, trial) = make("naswot"), TRIALS["nasbench201"]
    wrong = replace(evaluator, batch=Minibatch(torch.zeros(4, 3, 8, 8), torch.zeros(4).long()))
    found = evaluate_safely(wrong, trial)
    assert isinstance(found, Measurement)
    assert found.status == "error"
    assert "channels" in found.error


def test_unknown_score_lists_the_known_ones(digits: ImageData) -> None:
    space, trial = TRIALS["nasbench201"]
    with pytest.raises(UnknownNameError, match=r"training-free score.*'synflo'.*Did you mean 'synflow'"):
        make_training_free("synflo", space, blueprint(trial.architecture), digits, seed=0)


@pytest.mark.parametrize("change", [{"channels": 3}, {"resolution": 16}, {"classes": 5}])
def test_blueprint_for_other_images_is_refused(change: dict[str, int], digits: ImageData) -> None:
    space, trial = TRIALS["nasbench201"]
    with pytest.raises(InvalidInputError, match="make the blueprint for the data"):
        make_training_free("naswot", space, replace(blueprint(trial.architecture), **change), digits, seed=0)


def test_table_has_nothing_to_score(digits: ImageData) -> None:
    space = TableSpace(np.arange(4).reshape(4, 1))
    with pytest.raises(InvalidInputError, match="counting"):
        make_training_free("synflow", space, blueprint(space.architecture([0])), digits, seed=0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name", NAMES)
def test_device_changes_rounding_only(name: str, make: Make) -> None:
    """Weights and inputs are drawn on the CPU; float32 sums differ by their order."""
    _, trial = TRIALS["nasbench201"]
    there, here = (make(name, device=device).evaluate(trial).metrics[name] for device in ("cuda", "cpu"))
    assert there == pytest.approx(here, rel=1e-2)
