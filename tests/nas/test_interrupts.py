"""Ctrl-C is held back, not lost."""

from __future__ import annotations

import signal

import pytest

from nas.interrupts import deferred_interrupts


def test_interruption_waits_for_the_end_of_the_block() -> None:
    done = False
    with pytest.raises(KeyboardInterrupt), deferred_interrupts():  # noqa: PT012 - what runs inside is the point
        signal.raise_signal(signal.SIGINT)
        done = True
    assert done
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_without_an_interruption_nothing_happens() -> None:
    with deferred_interrupts():
        pass


def test_an_error_inside_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError), deferred_interrupts():
        _ = 1 / 0
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
