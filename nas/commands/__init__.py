"""The commands: each parses its flags, calls the Python function of the same job, and prints the answer.

What needs torch is imported inside the commands, so that `--help` answers at once.
"""

from nas.commands import bench, listing, look, profile, run_search, scale, train

__all__ = ["bench", "listing", "look", "profile", "run_search", "scale", "train"]
