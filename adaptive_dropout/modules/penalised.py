"""What a module is whose learned rates need a term in the loss: without it they would go where the data alone wants."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

__all__ = ["Penalised"]


class Penalised(nn.Module, ABC):
    """Has a divergence between what is learned and a prior, which `adaptive_dropout.penalties.penalty` collects."""

    @abstractmethod
    def kl(self) -> Tensor:
        """Return the divergence, up to a constant, in nats for the whole training set; 0-dim, with gradient."""
