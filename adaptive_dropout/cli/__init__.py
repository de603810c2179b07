"""The command line. ``--help`` and ``--version`` answer at once; the commands import what they need.

An error is one line on standard error and exit code 2; ``--debug`` shows its traceback.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout

from adaptive_dropout import __version__

__all__ = ["main"]

TRAINING = {
    "fit": "train, then test the best checkpoint, and show where the rates went",
    "validate": "run the validation set through a model",
    "test": "run the test set through a model",
    "predict": "run a model over new data",
}
OTHERS = {
    "tune": "choose one fixed rate by k-fold cross-validation",
    "inventory": "show every dropout rate of a model, and which of them can be moved",
    "replay": "show what another controller would have decided on a run's signals",
    "report": "write the rates, losses and decisions of runs to one HTML file",
    "dashboard": "create a dashboard of a project's runs in W&B, or a report on them",
}
COMMANDS = TRAINING | OTHERS

HELP = """\
usage: adaptive-dropout COMMAND [--config FILE ...] [--KEY VALUE ...]

Train with dropout rates that are scheduled, learned, or steered by validation.

commands:
{commands}

options:
  -h, --help   show this; after a command, every key that it takes
  --version    show the version
  --quiet      show warnings and errors only
  --debug      show the traceback of an error

Configurations add up, each an axis of its own:
  adaptive-dropout fit --config configs/data/digits.yaml --config configs/dropout/gaussian.yaml
`adaptive-dropout fit --config ... --print_config` shows what a run would use."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code: 2 if the user has to change something."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug, quiet = "--debug" in given, "--quiet" in given
    command, *rest = [argument for argument in given if argument not in ("--debug", "--quiet")] or ["--help"]
    if command in ("-h", "--help"):
        width = max(map(len, COMMANDS))
        print(HELP.format(commands="\n".join(f"  {name:{width}}  {does}" for name, does in COMMANDS.items())))
        return 0
    if command == "--version":
        print(f"adaptive-dropout {__version__}")
        return 0
    if command not in COMMANDS:
        return _fail(f"no command {command!r}; there are {', '.join(COMMANDS)}")
    try:
        with _silence() if quiet else nullcontext():
            _run(command, rest)
    except Exception as error:
        if debug:
            raise
        from adaptive_dropout.cli.errors import one_line

        return _fail(one_line(error))
    return 0


@contextmanager
def _silence() -> Iterator[None]:
    os.environ.setdefault("WANDB_SILENT", "true")  # W&B writes to standard error
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        yield


def _run(command: str, arguments: Sequence[str]) -> None:
    if command in OTHERS:  # each is a function in a module of the same name
        module = importlib.import_module(f"adaptive_dropout.cli.{command}")
        getattr(module, command)(arguments)
    else:
        from adaptive_dropout.cli.run import run

        run(command, arguments)


def _fail(message: str) -> int:
    print(f"adaptive-dropout: error: {message}", file=sys.stderr)
    return 2
