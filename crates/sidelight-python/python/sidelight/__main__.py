"""`python -m sidelight` and the command `sidelight`."""

from __future__ import annotations

import signal
import sys

from . import _native


def main() -> None:
    # The command handles Ctrl-C itself: it saves a checkpoint and says how to go on.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(_native.main(["sidelight", *sys.argv[1:]]))


if __name__ == "__main__":
    main()
