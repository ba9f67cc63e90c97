"""Ctrl-C waits for a whole moment, and a second one does not."""

import os
import signal
import threading

import pytest

from ensuite.training.interrupt import held_interrupt


def test_the_first_is_heard_and_the_second_interrupts() -> None:
    with held_interrupt() as interrupted, pytest.raises(KeyboardInterrupt):
        assert not interrupted()
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupted()
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_handler_of_the_caller_stays() -> None:
    heard = []
    before = signal.signal(signal.SIGINT, lambda *_: heard.append(1))
    try:
        with held_interrupt() as interrupted:
            os.kill(os.getpid(), signal.SIGINT)
        assert heard == [1]
        assert not interrupted()
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_thread_leaves_it_alone() -> None:
    def enter() -> None:
        with held_interrupt():
            kept.append(signal.getsignal(signal.SIGINT))

    kept: list[object] = []
    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert kept == [signal.default_int_handler]
