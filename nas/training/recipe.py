"""Recipes: everything that decides how a network is trained, as values with names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields, replace
from typing import Any, Literal, Self, get_args

from nas.errors import InvalidInputError, UnknownNameError
from nas.training.schedules import SCHEDULES, Schedule, after_losses
from search_spaces.checks import check_text, is_finite, shown

OptimizerName = Literal["sgd", "rmsprop", "adamw", "muon"]
Decayed = Literal["matrices", "all"]
Policy = Literal["none", "autoaugment", "autoaugment-cifar", "randaugment", "trivialaugment"]
Precision = Literal["float32", "bfloat16"]
_CHOICES = {
    "optimizer": OptimizerName,
    "schedule": Schedule,
    "decayed": Decayed,
    "policy": Policy,
    "precision": Precision,
}
_COUNTS = {"epochs": 1, "batch_size": 1, "accumulation": 1, "patience": 0, "decay_patience": 0, "cutout": 0}
_SHARES = ("momentum", "warmup", "label_smoothing", "drop_path", "squared_momentum", "average")
_AMOUNTS = ("weight_decay", "gradient_clip", "auxiliary_weight", "colour_noise")
_FLAGS = ("nesterov", "augment", "flip_test")
_TEST_CROPS = (1, 10)
# Fields of the first recipes. The others are written only where they are not the default, so that what was recorded
# before there were others reads, and compares, as ever.
_ALWAYS_WRITTEN = (
    *("name", "epochs", "batch_size", "learning_rate", "momentum", "weight_decay", "warmup", "label_smoothing"),
    *("gradient_clip", "drop_path", "auxiliary_weight", "augment", "cutout"),
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a network is trained; by default, with Nesterov SGD under a cosine with linear warm-up.

    Attributes:
        name: what `get_recipe` finds it by, for the record.
        epochs: passes over the training images.
        batch_size: images a step, in all parts and processes together.
        learning_rate: at its peak.
        momentum: in [0, 1); the first beta of AdamW, and Muon's momentum.
        weight_decay: L2; for AdamW and Muon decoupled (Loshchilov 2019).
        warmup: share of all steps in which the rate rises linearly from zero, in [0, 1).
        label_smoothing: probability spread over all classes, in [0, 1).
        gradient_clip: largest global norm of the gradient; 0 for no clipping.
        drop_path: ScheduledDropPath's final rate at the last cell, in [0, 1) (Zoph 2018, A.7); of cell networks.
        auxiliary_weight: weight of the loss of each auxiliary head; 0 trains without them.
        augment: whether the data set's own augmentation is applied.
        cutout: side in pixels of a square that is erased from each training image (DeVries 2017); 0 for none.
        optimizer: ``sgd``, ``rmsprop``, ``adamw``, or ``muon`` (Jordan 2024) with AdamW for what is no inner matrix.
        nesterov: whether SGD's momentum is Nesterov's.
        squared_momentum: of the mean of squared gradients, RMSProp's decay and AdamW's second beta, in [0, 1).
        epsilon: added to the root of that mean, larger than 0.
        decayed: what weight decay is on: ``matrices``, weights of convolutions and linear layers, or ``all``.
        schedule: how the rate goes behind the warm-up; see `nas.training.schedules`.
        final_rate: share of the peak at which ``cosine`` and ``triangular`` end, in [0, 1].
        decay_factor: what ``exponential``, ``step`` and ``plateau`` multiply the rate by, in (0, 1).
        decay_epochs: epochs from one factor of ``exponential`` to the next.
        milestones: shares of the training, in (0, 1), at which ``step`` multiplies.
        decay_patience: epochs without a lower validation loss that ``plateau`` bears.
        average: decay of the weights' moving average that is measured and kept in the place of the last weights, in
            [0, 1); 0 for none.
        stochastic_depth: rate at which the last residual block is dropped, the others in the network's own
            proportions (Huang 2016), in [0, 1); None for the network's own.
        colour_noise: deviation of AlexNet's colour noise (Krizhevsky 2012, 4.1: 0.1); 0 for none.
        policy: an augmentation policy of torchvision, drawn for every image.
        flip_test: whether an image's logits are the mean over it and its mirror image when the network is measured.
        test_crops: 1, or 10 for ten-crop testing: probabilities for a test image are the mean over four corners, the
            centre and their mirror images (Krizhevsky 2012, 4.1); see `nas.training.measuring`. Validation takes one.
        accumulation: parts that a batch is computed in, one after the other, to save memory.
        patience: epochs without a higher validation accuracy after which training stops, with the best epoch's
            weights; 0 for never, with the last ones.
        precision: what layers compute in while training. ``bfloat16`` is torch's automatic mixed precision: weights,
            their gradients, normalisation's statistics and the loss stay float32. Networks are measured in float32.
            ``float32`` is what torch makes of it, which on recent GPUs is TF32 in convolutions.
    """

    name: str
    epochs: int
    batch_size: int = 64
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    warmup: float = 0.1
    label_smoothing: float = 0.0
    gradient_clip: float = 5.0
    drop_path: float = 0.0
    auxiliary_weight: float = 0.0
    augment: bool = True
    cutout: int = 0
    optimizer: OptimizerName = "sgd"
    nesterov: bool = True
    squared_momentum: float = 0.9
    epsilon: float = 1e-8
    decayed: Decayed = "matrices"
    schedule: Schedule = "cosine"
    final_rate: float = 0.0
    decay_factor: float = 0.1
    decay_epochs: float = 1.0
    milestones: tuple[float, ...] = ()
    decay_patience: int = 10
    average: float = 0.0
    stochastic_depth: float | None = None
    colour_noise: float = 0.0
    policy: Policy = "none"
    flip_test: bool = False
    test_crops: int = 1
    accumulation: int = 1
    patience: int = 0
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        """Refuse values outside their range, naming the field; milestones may come as a list or as text."""
        check_text("the name of a recipe", self.name)
        object.__setattr__(self, "milestones", self._read_milestones())
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in get_args(choices):
                raise UnknownNameError(f"{name} of a recipe", str(getattr(self, name)), get_args(choices))
        for name, least in _COUNTS.items():
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise self._error(name, f"a whole number >= {least}")
        for name in _FLAGS:
            if not isinstance(getattr(self, name), bool):
                raise self._error(name, "true or false")
        self._check_numbers()

    def _check_numbers(self) -> None:
        for name in ("learning_rate", "epsilon", "decay_epochs"):
            self._check(name, lambda value: value > 0, "larger than 0")
        for name in _SHARES:
            self._check(name, lambda value: 0 <= value < 1, "in [0, 1)")
        for name in _AMOUNTS:
            self._check(name, lambda value: value >= 0, ">= 0")
        self._check("final_rate", lambda value: 0 <= value <= 1, "in [0, 1]")
        self._check("decay_factor", lambda value: 0 < value < 1, "in (0, 1)")
        if self.stochastic_depth is not None:
            self._check("stochastic_depth", lambda value: 0 <= value < 1, "in [0, 1)")
        if type(self.test_crops) is not int or self.test_crops not in _TEST_CROPS:
            raise self._error("test_crops", "1 or 10")
        if self.test_crops > 1 and self.flip_test:
            raise self._error("test_crops", "1 with flip_test: ten crops hold mirror images already")
        if self.accumulation > self.batch_size:
            raise self._error("accumulation", f"at most batch_size, {self.batch_size}")

    def _check(self, name: str, keeps_rule: Any, rule: str) -> None:
        value = getattr(self, name)
        if not is_finite(value) or not keeps_rule(value):
            raise self._error(name, rule)

    def _error(self, name: str, rule: str) -> InvalidInputError:
        return InvalidInputError(f"recipe {self.name!r}: {name} must be {rule}, got {shown(getattr(self, name))}.")

    def _read_milestones(self) -> tuple[float, ...]:
        given: Any = self.milestones
        parts = given.split(",") if isinstance(given, str) else given if isinstance(given, list | tuple) else [given]
        try:
            milestones = tuple(sorted(float(part) for part in parts))
        except (TypeError, ValueError, OverflowError):
            raise self._error("milestones", "shares of the training, like 0.5,0.75") from None
        if not all(0 < share < 1 for share in milestones):
            raise self._error("milestones", "in (0, 1), shares of the training like 0.5,0.75")
        return milestones

    @property
    def watches_validation(self) -> bool:
        """Whether training looks at the validation images after each epoch."""
        return self.schedule == "plateau" or self.patience > 0

    def rate_at(self, progress: float, *, losses: Sequence[float] = ()) -> float:
        """Return the learning rate after a share of all steps.

        Args:
            progress: share of steps done, in [0, 1].
            losses: validation loss of each epoch done, which ``plateau`` goes by.
        """
        if progress < self.warmup:
            return self.learning_rate * progress / self.warmup
        if self.schedule == "plateau":
            return after_losses(self, losses)
        return SCHEDULES[self.schedule](self, progress)

    def with_changes(self, changes: dict[str, Any]) -> Self:
        """Return a copy with these fields changed.

        Raises:
            UnknownNameError: a field that recipes do not have.
        """
        known = [field.name for field in fields(self)]
        for name in changes:
            if name not in known:
                raise UnknownNameError("recipe field", name, known)
        return replace(self, **changes)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict; fields that later recipes brought are left out where they are the default."""
        written = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in _ALWAYS_WRITTEN or field.default is MISSING or value != field.default:
                written[field.name] = list(value) if isinstance(value, tuple) else value
        return written

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises:
            InvalidInputError: no name or number of epochs, an unknown field, or a value out of range.
        """
        if not isinstance(data, dict) or not {"name", "epochs"} <= data.keys():
            raise InvalidInputError("a recipe must be a JSON object with a name and a number of epochs.")
        return cls(name=data["name"], epochs=data["epochs"]).with_changes(data)


# What residual networks of He 2016 have in common: SGD with plain momentum, L2 on everything, no warm-up, no clipping.
_HE = Recipe(
    "resnet", epochs=90, batch_size=256, nesterov=False, weight_decay=1e-4, warmup=0.0, gradient_clip=0.0, decayed="all"
)
_ALEXNET = Recipe(
    "alexnet",
    epochs=90,
    batch_size=128,
    learning_rate=0.01,
    nesterov=False,
    weight_decay=5e-4,
    decayed="all",
    warmup=0.0,
    gradient_clip=0.0,
    schedule="plateau",
    decay_factor=0.1,
    decay_patience=5,
    colour_noise=0.1,
)

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        # A few epochs, enough to rank networks: what a search spends on each.
        Recipe("proxy", epochs=8),
        # A network at the end of a search, trained until small data sets are learnt.
        Recipe("quick", epochs=40, label_smoothing=0.1, drop_path=0.1),
        # Zoph 2018, A.7 with the values of TF-Slim's CIFAR configuration.
        Recipe(
            "nasnet-cifar",
            epochs=600,
            batch_size=32,
            learning_rate=0.025,
            warmup=0.0,
            drop_path=0.4,
            auxiliary_weight=0.4,
            cutout=16,
        ),
        # Zoph 2018, A.7 with the values of TF-Slim's mobile configuration: 0.04 a worker of 32 images, taken in
        # proportion to the batch. TF's RMSProp starts its mean of squares at 1 and has epsilon inside the root; torch's
        # starts at 0 and has it outside, so epsilon is given as the root. 250 epochs are DARTS' (Liu 2019, App. A).
        Recipe(
            "nasnet-imagenet",
            epochs=250,
            batch_size=256,
            learning_rate=0.32,
            weight_decay=4e-5,
            warmup=0.0,
            label_smoothing=0.1,
            gradient_clip=10.0,
            auxiliary_weight=0.4,
            optimizer="rmsprop",
            epsilon=1.0,
            schedule="exponential",
            decay_factor=0.97,
            decay_epochs=2.4,
            average=0.9999,
        ),
        # Tan 2019, section 5.2, and the values of its code: 0.016 a 256 images, 5 of 350 epochs of warm-up, moving
        # average, label smoothing. RMSProp's epsilon 0.001 as a root, as above. Stochastic depth is the network's own.
        # The code's random resized crops are not among the augmentations here.
        Recipe(
            "efficientnet-imagenet",
            epochs=350,
            batch_size=256,
            learning_rate=0.016,
            weight_decay=1e-5,
            warmup=5 / 350,
            label_smoothing=0.1,
            gradient_clip=0.0,
            optimizer="rmsprop",
            epsilon=0.0316,
            schedule="exponential",
            decay_factor=0.97,
            decay_epochs=2.4,
            average=0.9999,
            policy="autoaugment",
        ),
        # Krizhevsky 2012, section 5: the rate divided by 10 when the validation error stopped falling, 90 cycles. How
        # long they waited is not written; 5 epochs here.
        _ALEXNET,
        # Simonyan 2015, section 3.1: as AlexNet but for batches of 256 and 74 epochs.
        replace(_ALEXNET, name="vgg", epochs=74, batch_size=256),
        # He 2016, section 3.4, with the epochs of the authors' fb.resnet.torch: 30 and 60 of 90.
        replace(_HE, schedule="step", milestones=(1 / 3, 2 / 3)),
        # He 2016, section 4.2: 64k steps of 128 images, 182 epochs of 45,000; divided by 10 at 32k and 48k.
        replace(_HE, name="resnet-cifar", epochs=182, batch_size=128, schedule="step", milestones=(0.5, 0.75)),
        # Jordan 2024 (airbench94): 11.5 / (1024 x (1 + 1 / 0.15)) for losses added up is 1.5 for their mean; decay
        # 0.0153 x 1024 / 7851 a step is 0.00133 of that rate; the rate rises, there from 0.2 of its peak, over 0.23 of
        # the steps and falls to 0.07. An average at every step stands for theirs at every fifth. Left out: 64 times the
        # rate for biases of normalisation, freezing the first bias, alternating flips, half precision, shifted views.
        Recipe(
            "fast",
            epochs=10,
            batch_size=1024,
            learning_rate=1.5,
            momentum=0.85,
            weight_decay=0.00133,
            warmup=0.23,
            label_smoothing=0.2,
            gradient_clip=0.0,
            decayed="all",
            schedule="triangular",
            final_rate=0.07,
            average=0.95,
            flip_test=True,
        ),
    )
}

SOURCES: dict[str, str] = {  # by recipe; where its values are from, the details stand beside them above
    "proxy": "ours: enough to rank networks in a search",
    "quick": "ours: the winner of a search, on small data",
    "nasnet-cifar": "Zoph 2018, A.7; TF-Slim's CIFAR configuration",
    "nasnet-imagenet": "Zoph 2018, A.7; TF-Slim's mobile configuration; epochs of Liu 2019 (DARTS)",
    "efficientnet-imagenet": "Tan 2019, 5.2, and its code",
    "alexnet": "Krizhevsky 2012, 5",
    "vgg": "Simonyan 2015, 3.1",
    "resnet": "He 2016, 3.4; epochs of fb.resnet.torch",
    "resnet-cifar": "He 2016, 4.2",
    "fast": "Jordan 2024 (airbench94); optimizer=muon as in its airbench94_muon",
}


def get_recipe(name: str) -> Recipe:
    """Return the recipe of that name.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in RECIPES:
        raise UnknownNameError("recipe", name, RECIPES)
    return RECIPES[name]
