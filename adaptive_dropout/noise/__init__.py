"""Noise as a function of a key and a position: the same bits from every backend, nothing saved for the backward pass.

`philox` defines the bits. `mask`, `normal` and `gate` make the three noises of them, each with its slow twin in torch
operations, which `torch.compile`, `torch.vmap` and devices without kernels run; `cpu` has the kernels.
"""
