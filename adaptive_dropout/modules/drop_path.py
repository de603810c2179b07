"""`DropPath`: drops a residual branch for whole examples, and can save the work of the branch for them."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from adaptive_dropout import functional as F
from adaptive_dropout.modules.base import NoiseLayer, Proxy

__all__ = ["DropPath"]


class DropPath(NoiseLayer):
    """Zero whole examples with probability p in training, multiply the others by 1 / (1 - p).

    Put it at the end of a residual branch, before the addition: the block is then skipped for these examples.
    Input (batch, ...). No gradient reaches p.

    >>> DropPath(0.1)
    DropPath(p=0.1)

    ``x + drop_path(branch(x))`` computes the branch for examples that it then drops. ``drop_path.residual(x, branch)``
    does not, and returns the same.

    ``drop_prob``, timm's name for p, can be read and assigned as well.

    Source: Huang et al. (2016), "Deep networks with stochastic depth", section 3, for each example.
    """

    @property
    def drop_prob(self) -> float:
        """The drop probability, by its name in timm's layer."""
        return self.p

    @drop_prob.setter
    def drop_prob(self, p: float) -> None:
        self.p = p

    def residual(self, x: Tensor, branch: Callable[[Tensor], Tensor]) -> Tensor:
        """Return ``x + self(branch(x))``; in training ``branch`` runs on the kept examples alone.

        >>> import torch
        >>> DropPath(0.5).residual(torch.ones(4, 3), torch.nn.Linear(3, 3)).shape
        torch.Size([4, 3])

        The time of the branch falls to about 1 - p of what it was, and so does the memory that it keeps for the
        backward pass. `functional.drop_path_residual` says what a branch has to be like, and when it runs on all. It
        also does while anything looks at the calls of this layer: a hook, a signal that is measured, a tracer.
        """
        if not self.training or self._is_watched(x):
            return x + self(branch(x))  # type: ignore[no-any-return]
        return F.drop_path_residual(x, branch, self.rate.read())

    def noise(self, x: Tensor, p: Tensor) -> Tensor:
        """Return `functional.drop_path` of ``x``."""
        return F.drop_path(x, p)

    def _is_watched(self, x: object) -> bool:
        hooks = (self._forward_hooks, self._forward_pre_hooks, self._backward_hooks, self._backward_pre_hooks)
        own = vars(self)
        return isinstance(x, Proxy) or any(hooks) or "noise" in own or "forward" in own
