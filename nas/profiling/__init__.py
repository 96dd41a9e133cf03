"""What a network costs, layer by layer: parameters, multiply-accumulates, activations; and measured time and memory."""

from nas.profiling.layers import Layer
from nas.profiling.measures import Latency, PeakMemory, measure_latency, measure_memory
from nas.profiling.profiles import Profile, profile, profile_without_weights

__all__ = [
    "Latency",
    "Layer",
    "PeakMemory",
    "Profile",
    "measure_latency",
    "measure_memory",
    "profile",
    "profile_without_weights",
]
