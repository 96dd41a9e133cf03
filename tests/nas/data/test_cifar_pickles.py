"""CIFAR's Python files are read without running what they say."""

import itertools
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest

from nas.data.cifar_pickles import read_pickled_records
from nas.errors import InvalidInputError

NUM = 5
RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (NUM, 3072), dtype=np.uint8)
LABELS = [3, 1, 4, 1, 5]


def _write_as_python_2(path: Path, *, labels_key: bytes = b"labels", remembered: int = 0) -> None:
    """Write what Python 2's pickler made of the dictionary, instruction by instruction (protocol 2).

    `remembered` counts what the pickler had seen before; from 256 on it numbers with another instruction.
    """

    def text(content: bytes) -> bytes:
        short = len(content) < 256
        return (b"U" + bytes([len(content)]) if short else b"T" + struct.pack("<i", len(content))) + content

    memo = itertools.count(remembered)

    def put() -> bytes:
        number = next(memo)
        return b"q" + bytes([number]) if number < 256 else b"r" + struct.pack("<i", number)

    stream = b"\x80\x02}" + put() + b"("
    stream += text(b"batch_label") + put() + text(b"training batch 1 of 5") + put()
    stream += text(labels_key) + put() + b"]" + put()
    stream += b"(" + b"".join(b"K" + bytes([label]) for label in LABELS[:3]) + b"e"
    stream += b"(" + b"".join(b"K" + bytes([label]) for label in LABELS[3:]) + b"e"
    stream += text(b"data") + put() + b"cnumpy.core.multiarray\n_reconstruct\n" + put()
    stream += b"cnumpy\nndarray\n" + put() + b"K\x00\x85" + put() + text(b"b") + put() + b"\x87" + put() + b"R" + put()
    stream += b"(K\x01K" + bytes([NUM]) + b"M\x00\x0c\x86" + put()
    stream += b"cnumpy\ndtype\n" + put() + text(b"u1") + put() + b"K\x00K\x01\x87" + put() + b"R" + put()
    stream += b"(K\x03" + text(b"|") + put() + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t" + put() + b"b"
    stream += b"\x89" + text(PIXELS.tobytes()) + put() + b"t" + put() + b"b"
    stream += text(b"filenames") + put() + b"]" + put() + b"(" + text(b"one.png") + put() + b"e"
    path.write_bytes(stream + b"u.")


def _check(path: Path, labels_key: str = "labels") -> None:
    records = read_pickled_records(path, num_records=NUM, labels_key=labels_key)
    assert records[:, 0].tolist() == LABELS
    assert np.array_equal(records[:, 1:], PIXELS)


@pytest.mark.parametrize(("labels_key", "remembered"), [("labels", 0), ("fine_labels", 10_000)])
def test_a_python_2_file_is_read(tmp_path: Path, labels_key: str, remembered: int) -> None:
    _write_as_python_2(tmp_path / "batch", labels_key=labels_key.encode(), remembered=remembered)
    unpickled = pickle.loads((tmp_path / "batch").read_bytes(), encoding="bytes")
    assert np.array_equal(unpickled[b"data"], PIXELS)
    _check(tmp_path / "batch", labels_key)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_file_of_any_later_protocol_is_read(tmp_path: Path, protocol: int) -> None:
    content = {"batch_label": "x", "labels": LABELS, "data": PIXELS, "filenames": ["one.png"]}
    (tmp_path / "batch").write_bytes(pickle.dumps(content, protocol=protocol))
    _check(tmp_path / "batch")


def test_many_labels_across_frames_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Protocol 4 puts markers, which are numbers too, between the labels of a list of more than 64 KiB."""
    monkeypatch.setattr("nas.data.cifar_pickles._PIXELS", 4)
    labels = RNG.integers(0, 100, 70_000).tolist()
    content = {"fine_labels": labels, "data": np.zeros((70_000, 4), dtype=np.uint8)}
    (tmp_path / "batch").write_bytes(pickle.dumps(content, protocol=4))
    records = read_pickled_records(tmp_path / "batch", num_records=70_000, labels_key="fine_labels")
    assert records[:, 0].tolist() == labels


class _Trap:
    """Unpickling this creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.path,))


def test_nothing_in_a_file_is_run(tmp_path: Path) -> None:
    trap = tmp_path / "sprung"
    content = {"trap": _Trap(trap), "labels": LABELS, "data": PIXELS}
    (tmp_path / "batch").write_bytes(pickle.dumps(content))
    _check(tmp_path / "batch")
    assert not trap.exists()
    pickle.loads((tmp_path / "batch").read_bytes())
    assert trap.exists()


@pytest.mark.parametrize("keep", [0, 3, 50, 5000, -1])
def test_a_cut_file_is_one_clear_error(tmp_path: Path, keep: int) -> None:
    _write_as_python_2(tmp_path / "batch")
    (tmp_path / "batch").write_bytes((tmp_path / "batch").read_bytes()[:keep])
    with pytest.raises(InvalidInputError, match="batch cannot be used") as error:
        read_pickled_records(tmp_path / "batch", num_records=NUM, labels_key="labels")
    assert "\n" not in str(error.value)


def test_other_numbers_of_labels_or_pixels_are_told(tmp_path: Path) -> None:
    _write_as_python_2(tmp_path / "batch")
    with pytest.raises(InvalidInputError, match=r"expected 6 labels and 18,432 bytes of pixels, got 5 and 15,360"):
        read_pickled_records(tmp_path / "batch", num_records=6, labels_key="labels")
    with pytest.raises(InvalidInputError, match=r"expected 5 fine_labels.*got 0 and 15,360"):
        read_pickled_records(tmp_path / "batch", num_records=NUM, labels_key="fine_labels")


def test_labels_that_are_no_bytes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "batch").write_bytes(pickle.dumps({"labels": [*LABELS[:4], 300], "data": PIXELS}))
    with pytest.raises(InvalidInputError, match="labels"):
        read_pickled_records(tmp_path / "batch", num_records=NUM, labels_key="labels")
