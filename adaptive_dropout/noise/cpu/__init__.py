"""Kernels for the CPU: the bits of `philox`, used while they are still in registers.

Each takes the addresses of contiguous arrays and their size; a key; ``settings``, (settings, columns), in the arrays'
dtype, where each column serves the same number of neighbouring elements; and the chunks from ``first`` to ``last``. A
block whose elements share a column goes through one loop that vectorises, the others element by element. Kernels
release the GIL, are compiled when first called, and are then kept on disk.
"""

from adaptive_dropout.noise.cpu.gates import gate, gate_backward
from adaptive_dropout.noise.cpu.masks import mask, mask_add, mask_values, relu_mask
from adaptive_dropout.noise.cpu.normals import gaussian

__all__ = ["gate", "gate_backward", "gaussian", "mask", "mask_add", "mask_values", "relu_mask"]
