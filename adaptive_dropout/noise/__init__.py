"""Noise as a function of a key and a position, in torch operations and in kernels for CPU and CUDA devices.

`philox` defines the random bits. `mask`, `normal` and `gate` make the three noises of them, `concrete` the gate of a p
that is learned, and `fused` a mask with its neighbours. `settings` has the laws by which the numbers of a noise follow
from p. Beside each kernel stands a slow reference in torch operations, which `torch.compile`, `torch.vmap` and devices
without kernels run. Kernel and reference give the same bits for the same key, and the kernels save no mask for the
backward pass: they draw it again from the key.

On a CUDA device a kernel reads p and follows the law itself, so a layer is one launch each way, and nothing waits. The
scale of concrete noise that is made there has other last bits than the reference; all else has the same.

Two routes of plain dropout differ. On a device without kernels, `mask.mask_drawn` draws the bits of torch's own
generator and saves a byte for each element. On a CPU, an ``x`` of up to 2048 elements is multiplied by
`mask.mask_small`, which has the bits of the key but saves the factors.
"""
