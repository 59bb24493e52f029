"""The `paddle2torch` command, which `python -m paddle2torch` is too."""

from __future__ import annotations

import os
import signal


def _leave(number: int, frame: object) -> None:
    os.write(2, b"Error: interrupted before anything was begun\n")
    os._exit(128 + number)


def main() -> None:
    """Run the command line, which takes a moment to import. Until it is there, an interrupt ends the process at once:
    as an exception it could strike, and be lost, in any of the modules that are being imported."""
    for number in (signal.SIGINT, signal.SIGTERM):
        # Whoever starts a process in the background has it ignore interrupts.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _leave)
    import gc

    # What a command makes is nearly all in use until it ends. To look through it for what is not, every 700 objects and
    # twice at the end, takes an eighth of the smallest conversion.
    gc.set_threshold(200_000, 20, 20)
    from .cli import main as run

    try:
        run()
    finally:
        gc.freeze()


if __name__ == "__main__":
    main()
