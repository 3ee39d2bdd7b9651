"""The server of workers, which forks them off itself: started before it is wanted, asked for a single piece of work, ended when it was not wanted."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits

Result = TypeVar("Result")


@contextlib.contextmanager
def ignored_interrupts() -> Iterator[None]:
    """Ctrl-C is ignored, here and in processes started meanwhile; only the main thread may, others go on as they are."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def warm_up(modules: Iterable[str]) -> None:
    """Start the server of workers, which imports ``modules`` while this program is still busy with something else."""
    multiprocessing.get_context("forkserver").set_forkserver_preload(list(modules))
    with ignored_interrupts():
        forkserver.ensure_running()


def cool_down() -> None:
    """End the server of workers at once, were it in the middle of its imports: nothing is wanted of it any more."""
    server = getattr(getattr(forkserver, "_forkserver", None), "_forkserver_pid", None)
    if server is not None:
        with contextlib.suppress(OSError):
            os.kill(server, signal.SIGTERM)


def aside(work: Callable[..., Result], *given: Any) -> Callable[[], Result | None]:
    """Begin ``work(*given)`` in a process of its own. What is returned waits for the result; it is None when none came, for whatever reason.

    Nothing is waited for before that, not even the server of workers, and nothing is left behind when the program ends before.
    """
    context = multiprocessing.get_context("forkserver")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_tell, args=(sender, work, given), daemon=True)

    def start() -> None:
        with sender, contextlib.suppress(OSError, EOFError):  # the process has an end of its own; without it, or when it is closed, nothing comes
            process.start()

    threading.Thread(target=start, daemon=True).start()

    def result() -> Result | None:
        try:
            found: Result = receiver.recv()
        except (EOFError, OSError):
            return None
        finally:
            receiver.close()
        return found

    return result


def _tell(sender: Connection, work: Callable[..., Any], given: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(Exception), threadpool_limits(limits=1):  # who waits computes it again, and sees what was wrong
        sender.send(work(*given))
