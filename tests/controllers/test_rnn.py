"""The RNN controller: rewards, and how the policy learns from them."""

from __future__ import annotations

import time
from types import ModuleType
from typing import Any

import pytest
import torch

from controllers import Objective, Record, RNNController, RNNOptions
from controllers.rnn import clipped_gains, normal_scores
from search_spaces.errors import InvalidInputError


def proposed(tables: ModuleType, options: RNNOptions, evaluate: Any = None, *, num_trials: int = 40) -> list[Any]:
    space = tables.TableSpace()
    records = tables.run(RNNController(space, options=options), evaluate or tables.by_table(space), num_trials)
    return [record.trial.architecture for record in records]


def test_rewards_are_quantiles_of_ranks() -> None:
    among = [0.1, 0.2, 0.3, 0.4]
    rewards = normal_scores([0.4, 0.1, 0.2, 0.3], among)
    assert rewards == pytest.approx([1.1503, -1.1503, -0.3186, 0.3186], abs=1e-4)


def test_rewards_do_not_depend_on_the_unit() -> None:
    among = [0.1, 0.7, 0.3, 0.4, None]
    in_percent = [None if score is None else 100 * score - 7 for score in among]
    assert normal_scores(among, among) == normal_scores(in_percent, in_percent)


def test_failures_rank_below_every_result_and_ties_share_their_rank() -> None:
    rewards = normal_scores([None, -1e9, 0.5, 0.5], [None, -1e9, 0.5, 0.5])
    assert rewards[0] < rewards[1] < rewards[2] == rewards[3]


def test_a_reward_among_nothing_else_is_zero() -> None:
    assert normal_scores([0.3], [0.3]) == [0]
    assert normal_scores([None, None], [None] * 5) == [0, 0]


def test_gains_are_clipped_on_the_side_that_pays() -> None:
    ratios = torch.tensor([0.5, 0.9, 1.5, 0.5, 1.1, 1.5])
    advantages = torch.tensor([1.0, 1.0, 1.0, -1.0, -1.0, -1.0])
    expected = [0.5, 0.9, 1.2, -0.8, -1.1, -1.5]
    assert clipped_gains(ratios, advantages, 0.2).tolist() == pytest.approx(expected)


def test_one_epoch_of_ppo_on_fresh_trials_is_reinforce(tables: ModuleType) -> None:
    """While nothing has changed since the proposals, all ratios are 1 and both gradients are the same."""
    ppo = proposed(tables, RNNOptions(epochs=1, learning_rate=0.02))
    assert ppo == proposed(tables, RNNOptions("reinforce", learning_rate=0.02))
    assert ppo != proposed(tables, RNNOptions(epochs=2, learning_rate=0.02))


def test_a_step_of_nothing_learns_nothing(tables: ModuleType) -> None:
    space, options = tables.TableSpace(), RNNOptions(learning_rate=1e-15)
    untold = [trial.architecture for trial in RNNController(space, options=options).ask(40)]
    assert proposed(tables, options) == untold
    assert proposed(tables, RNNOptions()) != untold


def test_equal_results_teach_nothing(tables: ModuleType) -> None:
    options = RNNOptions(entropy_weight=0.0)
    same = proposed(tables, options, lambda trial: tables.ok(0.5))
    assert same == [trial.architecture for trial in RNNController(tables.TableSpace(), options=options).ask(40)]


@pytest.mark.parametrize(("factor", "direction"), [(100.0, "maximize"), (-1e6, "minimize")])
def test_the_unit_of_the_metric_changes_nothing(tables: ModuleType, factor: float, direction: Any) -> None:
    space = tables.TableSpace()
    controller = RNNController(space, [Objective(direction=direction)])
    records = tables.run(controller, lambda trial: tables.ok(factor * space.score(trial.architecture)), 40)
    assert [record.trial.architecture for record in records] == proposed(tables, RNNOptions())


@pytest.mark.parametrize("algorithm", ["ppo", "reinforce"])
def test_a_rewarded_option_is_proposed_ever_more(tables: ModuleType, algorithm: Any) -> None:
    """Option 2 counts in each of 8 decisions: 50 uniform draws hold it 1.6 times in the mean (sd 0.16)."""
    space = tables.TableSpace(8, 5)

    def num_twos(architecture: Any) -> int:
        return architecture.choices.count(2)

    controller = RNNController(space, options=RNNOptions(algorithm))
    records = tables.run(controller, lambda trial: tables.ok(num_twos(trial.architecture) / 8), 150)
    assert sum(num_twos(record.trial.architecture) for record in records[100:]) / 50 > 4


def test_late_results_are_weighed_by_the_policy_that_proposed_them(tables: ModuleType) -> None:
    space = tables.TableSpace()
    controller = RNNController(space, options=RNNOptions(minibatch=4))
    early = controller.ask(4)
    at_proposal = [controller._log_probs[trial.number] for trial in early]
    tables.run(controller, lambda trial: tables.ok(trial.number / 100), 20)
    controller.tell([Record(trial, tables.ok(0.9)) for trial in early[:3]])
    assert [experience.log_prob for experience in controller._batch] == at_proposal[:3]
    now, _ = controller._policy(torch.tensor([trial.architecture.choices for trial in early[:3]]))
    assert now.tolist() != pytest.approx(at_proposal[:3], abs=0.1)


def test_a_converged_policy_goes_on_to_networks_nearby(tables: ModuleType) -> None:
    """With steps so large that one network gets all probability, no trial repeats another."""
    architectures = proposed(tables, RNNOptions(learning_rate=1.0), num_trials=60)
    assert len(set(architectures)) == 60


def test_threads_are_given_back(tables: ModuleType) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        proposed(tables, RNNOptions(), num_trials=6)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("hidden", 0),
        ("minibatch", 0),
        ("epochs", 0),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("clip", 0.0),
        ("init_range", -1.0),
        ("entropy_weight", -0.1),
        ("baseline_decay", 1.0),
        ("algorithm", "dqn"),
    ],
)
def test_settings_that_cannot_learn_are_refused(field: str, value: Any) -> None:
    with pytest.raises(InvalidInputError, match=field):
        RNNOptions(**{field: value})


def test_published_settings() -> None:
    published = RNNOptions.published()
    assert (published.hidden, published.init_range, published.minibatch) == (100, 0.1, 20)
    assert (published.learning_rate, published.entropy_weight, published.baseline_decay) == (3.5e-4, 1e-5, 0.95)


def test_several_objectives_are_refused(tables: ModuleType) -> None:
    with pytest.raises(InvalidInputError, match="'rnn' takes one objective, got 2"):
        RNNController(tables.TableSpace(), [Objective(), Objective("macs", "minimize")])


def test_two_hundred_rounds_take_three_seconds(tables: ModuleType) -> None:
    """1.1 s were measured, made and all; processor time, so that a busy machine does not count."""
    start = time.process_time()
    proposed(tables, RNNOptions(), num_trials=200)
    assert time.process_time() - start < 3
