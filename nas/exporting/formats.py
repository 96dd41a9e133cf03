"""The formats, each a function that writes a network to a file and checks what it wrote.

The check runs the written network and the original on the same images: what is returned is the largest difference
of two logits, relative to the largest logit.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nas.errors import InvalidInputError, MissingDependencyError, NASError
from nas.exporting.network_file import network_text
from nas.exporting.subject import Subject

TOLERANCE = 1e-5  # of a difference of logits, relative to the largest
ROUNDING = 4.0  # times the network's own distance from double precision, for a file that computes in another order
LARGEST_ROUNDING = 1e-3  # of the largest logit: beyond it float32 says nothing
TRACED_BATCH = 2
WEIGHTS = "weights.safetensors"
ONNX_EXTRA = "pip install 'neural-architecture-search[onnx]'"


@dataclass(frozen=True, slots=True)
class Format:
    """A way to write a network.

    Attributes:
        ending: of its file's name.
        write: writes a network to a path and returns the checked difference; None where it could not be checked.
        title: what it is.
    """

    ending: str
    write: Callable[[Subject, Path], float | None]
    title: str


def write_python(subject: Subject, path: Path) -> float | None:
    """Write one Python file that imports only torch.

    Raises:
        InvalidInputError: torch.fx cannot follow the network.
    """
    text = network_text(
        subject.network,
        subject.images,
        title=subject.title,
        module=path.stem,
        weights=WEIGHTS if path.stem == "network" else f"{path.stem}.safetensors",
    )
    namespace: dict[str, Any] = {"__name__": path.stem}
    with torch.random.fork_rng(devices=[]):
        exec(compile(text, str(path), "exec"), namespace)
        copy = namespace["build"]()
    copy.load_state_dict(subject.network.state_dict())
    copy.eval()

    def again(images: Tensor) -> Tensor:
        with torch.no_grad():
            result: Tensor = copy(images)
        return result

    found = _difference(subject, again, "python")
    path.write_text(text)
    return found


def write_onnx(subject: Subject, path: Path) -> float | None:
    """Write ONNX with any number of images a batch; checked where onnxruntime is installed.

    Raises:
        MissingDependencyError: onnx or onnxscript is not installed.
        InvalidInputError: torch cannot write the network as ONNX.
    """
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError:
        raise MissingDependencyError(
            f"--format onnx needs the packages onnx and onnxscript, which are not installed: {ONNX_EXTRA}."
        ) from None
    with _quiet(), _failing("onnx"):
        program = torch.onnx.export(
            subject.network,
            (subject.sample(TRACED_BATCH),),
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim.DYNAMIC},),
            input_names=["images"],
            output_names=["logits"],
            verbose=False,
        )
        assert program is not None
        program.model.metadata_props.update({"preprocessing": json.dumps(_preprocessing(subject))})
        program.save(str(path))
    return _checked_onnx(subject, path)


def _checked_onnx(subject: Subject, path: Path) -> float | None:
    try:
        import onnxruntime  # type: ignore[import-untyped, unused-ignore]
    except ImportError:
        return None
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return _difference(
        subject, lambda images: torch.from_numpy(session.run(None, {"images": images.numpy()})[0]), "onnx"
    )


def write_torch_export(subject: Subject, path: Path) -> float | None:
    """Write a program of torch.export with any number of images a batch.

    Raises:
        InvalidInputError: torch.export cannot follow the network.
    """
    with _quiet(), _failing("torch-export"):
        program = torch.export.export(
            subject.network, (subject.sample(TRACED_BATCH),), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},)
        )
        torch.export.save(program, path, extra_files={"preprocessing.json": json.dumps(_preprocessing(subject))})
        module = torch.export.load(path).module()
    return _difference(subject, lambda images: module(images).detach(), "torch-export")


FORMATS: dict[str, Format] = {
    "python": Format(".py", write_python, "one Python file that imports only torch"),
    "onnx": Format(".onnx", write_onnx, "ONNX"),
    "torch-export": Format(".pt2", write_torch_export, "a program of torch.export"),
}


def _preprocessing(subject: Subject) -> dict[str, Any]:
    """Return how images reach the network: scaled to [0, 1], less the mean, over the standard deviation."""
    images = subject.images
    return {
        "input_shape": list(images.shape),
        "mean": list(images.mean),
        "std": list(images.std),
        "class_names": list(images.class_names),
    }


def _difference(subject: Subject, written: Callable[[Tensor], Tensor], name: str) -> float:
    """Return the largest difference of logits relative to the largest.

    Raises:
        NASError: it is beyond the tolerance, and rounding does not explain it.
    """
    images = subject.sample()
    expected, given = subject.logits(images), written(images)
    largest = float(expected.abs().max()) or 1.0
    found = float((given - expected).abs().max()) / largest
    if not found <= TOLERANCE and expected.isfinite().all() and not _is_rounding(subject, images, expected, given):
        raise NASError(
            f"the network written as {name} gives other logits (by {found:.1e} of the largest, where {TOLERANCE:.0e} "
            f"is allowed): nothing was exported. Use another --format."
        )
    return found


def _is_rounding(subject: Subject, images: Tensor, ours: Tensor, theirs: Tensor) -> bool:
    """Return whether a file's logits are about as near to those in double precision as the network's own.

    A network whose normalisations divide by tiny deviations blows up what float32 rounds off, in whatever order it is
    computed.
    """
    exact = subject.exact_logits(images)
    if exact is None:
        return False
    own, other = (float((logits - exact).abs().max()) for logits in (ours, theirs))
    return other <= ROUNDING * own <= ROUNDING * LARGEST_ROUNDING * float(ours.abs().max())


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep torch's exporters from printing advice for those who develop them."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def _failing(name: str) -> Iterator[None]:
    """Say in one line that torch cannot write a network; it raises errors of many types for that."""
    try:
        yield
    except (NASError, OSError, MemoryError):
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise InvalidInputError(
            f"torch cannot write this network as {name} ({type(error).__name__}: {reason}). Use another --format."
        ) from error
