"""Networks that people designed: each built for any image size, and counted to the last parameter.

A file a family. What a family is built for comes as `Sizes`; what is known of a network, as a `Baseline`.
"""

from __future__ import annotations

from nas.baselines.baseline import Baseline
from nas.baselines.registry import baselines, find_baseline, names
from nas.baselines.sizes import Sizes

__all__ = ["Baseline", "Sizes", "baselines", "find_baseline", "names"]
