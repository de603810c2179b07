"""A rate held as a Python number in an attribute of a module, as `torch.nn.MultiheadAttention` holds its ``dropout``.

The module reads the number at each forward, so writing it is enough. It is written in steps of a quantum: compiled
code is specialised on the number, and every new one compiles again.
"""

from __future__ import annotations

from dataclasses import FrozenInstanceError

from adaptive_dropout.checks import check_p
from adaptive_dropout.rates.kinds import SettableRate

__all__ = ["AttributeRate", "write"]


class AttributeRate(SettableRate):
    """A settable rate that others read from ``owner.attribute``.

    ``p`` is what was set; the attribute gets the multiple of ``quantum`` nearest to it, or, where p is what it held at
    first, that number again. So small moves add up, and what is written depends on p alone. Nothing is written before
    the first `set`, and 0 and 1 are reached.

    Make it a submodule of the model, as `convert` does, and it is found, listed and steered as any settable rate.

    >>> from torch import nn
    >>> attention = nn.MultiheadAttention(4, 2, dropout=0.1)
    >>> attention.dropout_rate = AttributeRate(attention, "dropout")
    >>> attention.dropout_rate.set(0.2345)
    >>> attention.dropout_rate.p, attention.dropout
    (0.2345, 0.23)

    Args:
        owner: a module, or a configuration that modules read at each forward, which is written to as it is: `convert`
            gives the model a copy of its own first. A frozen dataclass is written to as well.
        attribute: the name of a number in [0, 1] there.
        quantum: the step in which it is written, in (0, 1]. A compiled model compiles once for each multiple, at most
            ``torch._dynamo.config.recompile_limit`` (8) times: from there on that code runs uncompiled.

    Raises:
        TypeError: what is there is no number.
        ValueError: the number is outside [0, 1], or the quantum outside (0, 1].
    """

    def __init__(self, owner: object, attribute: str, quantum: float = 0.01) -> None:
        where = f"{type(owner).__name__}.{attribute}"
        super().__init__(check_p(getattr(owner, attribute, None), where))
        if not check_p(quantum, "quantum") > 0.0:
            raise ValueError(f"quantum has to be above 0, but got {quantum}; 0.01 writes p in steps of a hundredth")
        self._owner = (owner,)  # in a tuple, since a module assigned here would become a submodule
        self.attribute = attribute
        self.quantum = quantum
        self._found: float = getattr(owner, attribute)

    @property
    def owner(self) -> object:
        """What holds the attribute."""
        return self._owner[0]

    @property
    def written(self) -> float:
        """What the attribute gets for the present p."""
        if self._p == self._found:
            return self._found
        return 1.0 if self._p == 1.0 else min(round(round(self._p / self.quantum) * self.quantum, 12), 1.0)

    def give_back(self) -> None:
        """Write the number that was there at first, bit by bit."""
        write(self.owner, self.attribute, self._found)

    def _store(self, p: float) -> None:
        super()._store(p)
        write(self.owner, self.attribute, self.written)

    def extra_repr(self) -> str:
        """Show p, the attribute and its step."""
        return f"{super().extra_repr()}, attribute={self.attribute!r}, quantum={self.quantum:g}"


def write(owner: object, attribute: str, value: object) -> None:
    """Write ``owner.attribute``, of a frozen dataclass too."""
    try:
        setattr(owner, attribute, value)
    except FrozenInstanceError:
        object.__setattr__(owner, attribute, value)
