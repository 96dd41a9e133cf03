"""How many networks an hour are trained, and where the time goes, against a loop as a user would write it."""

from nas.benchmarking.engine.results import EngineResult, Round
from nas.benchmarking.engine.running import EngineOptions, bench_engine
from nas.benchmarking.engine.stream import STREAMS, Stream

__all__ = ["STREAMS", "EngineOptions", "EngineResult", "Round", "Stream", "bench_engine"]
