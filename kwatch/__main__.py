"""The command's first step, also `python -m kwatch`: nothing is loaded before Ctrl-C can end it without a traceback."""

import gc
import signal
import sys
from typing import NoReturn

from kwatch import standins

GARBAGE = 50_000
"""New containers after which Python looks for cycles among them: decoded JSON is many containers and no cycle."""


def main() -> NoReturn:
    """Run the command line."""
    gc.set_threshold(GARBAGE)
    standins.install()
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from kwatch.cli import main as run

    run()


def complete() -> NoReturn:
    """kubectl_complete-kwatch: what kubectl runs to complete `kubectl kwatch`."""
    from kwatch.cli import complete as run

    run(["__complete", *sys.argv[1:]])


if __name__ == "__main__":
    main()
