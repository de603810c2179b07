"""The command line. ``--help`` and ``--version`` answer at once; the commands import what they need.

An error is one line on standard error and exit code 2; ``--debug`` shows its traceback.

Files of others are data. Nothing that they name is imported or run, and their text is shown as text:

=================================  ====================================================================================
what someone else wrote            what is done with it
=================================  ====================================================================================
controller, state, rates in a run  rebuilt if the rule is this library's own; another only if ``--controller`` names it
numbers in a run or a checkpoint   checked: rates in [0, 1], steps from 0, NaN in signals only, 8 MB a line, 50 levels
names and reasons                  control characters and changes of direction are spelled out, long text is cut, markup
                                   is text in terminals, HTML, figures and W&B
an error that quotes a file        is searched for the names of classes that are loaded already
``config.yaml`` beside a run       safe YAML of at most 128 KB, in words
checkpoints, snapshots             ``weights_only``; the model is the one of the user's configuration
npz, CSV, text, images             no pickles; an image is one of six formats by its content, never PostScript
files called like a class          are files; only ``--config`` names configurations
modules in the current folder      not imported by ``adaptive-dropout``; for ``python -m`` see ``__main__``
matplotlibrc, .numba_config.yaml   those of the current folder are not followed
devices and pipes in a run folder  are no runs
=================================  ====================================================================================

A configuration that the user names with ``--config`` is the user's own choice: each ``class_path`` in it is imported.
So are ``PYTHONPATH``, and what W&B does in a folder: it reads ``wandb/settings`` there and asks git.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout

from adaptive_dropout import __version__
from adaptive_dropout.tracking.shown import shown

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
    _ignore_numba_and_backend_of_the_folder()
    name = command if command in OTHERS else "run"  # each is a function in a module of the same name
    module = importlib.import_module(f"adaptive_dropout.cli.{name}")
    _ignore_matplotlibrc_of_the_folder()
    getattr(module, name)(*([] if command in OTHERS else [command]), arguments)


def _ignore_numba_and_backend_of_the_folder() -> None:
    # Both read a file of settings in the current folder, and would unpickle or import what it names: a cache of
    # compiled functions in .numba_config.yaml, a module for windows in matplotlibrc. The environment comes first.
    os.environ.setdefault("NUMBA_CACHE_DIR", "")
    os.environ.setdefault("MPLBACKEND", "agg")


def _ignore_matplotlibrc_of_the_folder() -> None:
    # It could set text by TeX, which can read files.
    if "matplotlib" in sys.modules and os.path.exists("matplotlibrc"):
        sys.modules["matplotlib"].rcdefaults()


def _fail(message: str) -> int:
    print(f"adaptive-dropout: error: {shown(message, longest=2000)}", file=sys.stderr)
    return 2
