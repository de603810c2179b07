"""The bits without end, for others' test programs: ``python -m benchmarks.randomness.pipe | dieharder -g 200 -a``.

Raw 16-bit numbers, low byte first, of one key after the other as layers draw them; PractRand reads them with
``RNG_test stdin16``.
"""

from __future__ import annotations

import contextlib
import sys

import torch

from benchmarks.randomness.streams import PHILOX

ELEMENTS = 1 << 20  # of a layer's input


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    with contextlib.suppress(BrokenPipeError):
        while True:
            numbers = PHILOX.halves(PHILOX.draw_key(torch.empty(())), ELEMENTS)
            sys.stdout.buffer.write(numbers.numpy().astype("<u2").tobytes())


if __name__ == "__main__":
    main()
