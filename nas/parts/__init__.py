"""What papers introduced, to be used in any network and any training: a file a topic.

What torch and torchvision have is taken from there and only named here.
"""

from __future__ import annotations

from nas.parts.activations import ACTIVATIONS, Maxout, MaxoutActivation, make_activation
from nas.parts.applying import Parts, apply_parts
from nas.parts.attention import ATTENTIONS, CBAM, squeeze_excitation
from nas.parts.colour_noise import ColourComponents, add_colour_noise
from nas.parts.exchanging import POOLINGS
from nas.parts.heads import HEADS
from nas.parts.initializations import INITIALIZATIONS, initialize
from nas.parts.normalizations import (
    NORMALIZATIONS,
    WEIGHT_NORMALIZATIONS,
    local_response,
    make_normalization,
    normalize_weights,
)
from nas.parts.plateau import Plateau
from nas.parts.prediction import Ensemble, predict_ten_crops
from nas.parts.regularizers import REGULARIZERS, DropBlock, DropConnectLinear, StochasticPool2d, stochastic_depth

__all__ = [
    "ACTIVATIONS",
    "ATTENTIONS",
    "CBAM",
    "HEADS",
    "INITIALIZATIONS",
    "NORMALIZATIONS",
    "POOLINGS",
    "REGULARIZERS",
    "WEIGHT_NORMALIZATIONS",
    "ColourComponents",
    "DropBlock",
    "DropConnectLinear",
    "Ensemble",
    "Maxout",
    "MaxoutActivation",
    "Parts",
    "Plateau",
    "StochasticPool2d",
    "add_colour_noise",
    "apply_parts",
    "initialize",
    "local_response",
    "make_activation",
    "make_normalization",
    "normalize_weights",
    "predict_ten_crops",
    "squeeze_excitation",
    "stochastic_depth",
]
