"""A rate held as a Python number in an attribute of a module, as `torch.nn.MultiheadAttention` holds its ``dropout``.

The module reads the number at each forward, so writing it is enough. It is written in steps of a quantum, because
compiled code is specialised on the number, and each new one compiles again. `AttentionRate` needs neither.
"""

from __future__ import annotations

from dataclasses import FrozenInstanceError

from adaptive_dropout.checks import check_p
from adaptive_dropout.rates.kinds import SettableRate

__all__ = ["AttentionRate", "AttributeRate", "write"]


class AttributeRate(SettableRate):
    """A settable rate that others read from ``owner.attribute``.

    ``p`` is the number that was set. The attribute gets the nearest multiple of ``quantum``, or its original number
    where p equals that. So small moves add up, and the written number depends on p alone. Nothing is written before the
    first `set`, and 0 and 1 are reached.

    As a submodule of the model, where `convert` puts it, it is found, listed and steered like any settable rate.

    >>> from torch import nn
    >>> attention = nn.MultiheadAttention(4, 2, dropout=0.1)
    >>> attention.dropout_rate = AttributeRate(attention, "dropout")
    >>> attention.dropout_rate.set(0.2345)
    >>> attention.dropout_rate.p, attention.dropout
    (0.2345, 0.23)

    Args:
        owner: a module, or a configuration that modules read at each forward. It is written to even if it is shared or
            a frozen dataclass; `convert` first gives the model a copy of its own.
        attribute: the name of a number in [0, 1] there.
        quantum: the step in which it is written, in (0, 1]. A compiled model compiles once for each multiple, at most
            ``torch._dynamo.config.recompile_limit`` (8) times; after that the code runs uncompiled.

    Raises:
        TypeError: the attribute is not a number.
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
        """The object that has the attribute."""
        return self._owner[0]

    @property
    def written(self) -> float:
        """The number that the attribute gets for the present p."""
        if self._p == self._found:
            return self._found
        return 1.0 if self._p == 1.0 else min(round(round(self._p / self.quantum) * self.quantum, 12), 1.0)

    @property
    def how(self) -> str:
        """How the model comes to read p, in a few words."""
        return f"written in steps of {self.quantum:g}"

    def give_back(self) -> None:
        """Write the original number again, exactly."""
        write(self.owner, self.attribute, self._found)

    def refresh(self) -> None:
        """Fill the buffer, and write the attribute, from p again."""
        super().refresh()
        write(self.owner, self.attribute, self.written)

    def extra_repr(self) -> str:
        """Show p, the attribute and its quantum."""
        return f"{super().extra_repr()}, attribute={self.attribute!r}, quantum={self.quantum:g}"


class AttentionRate(AttributeRate):
    """A rate that fused attention reads as a tensor, in place of ``owner.attribute``, which stays as it was found.

    p is therefore not rounded, and compiled code does not compile again. `convert` makes it.
    """

    @property
    def written(self) -> float:
        """The number that the attribute keeps."""
        return self._found

    @property
    def how(self) -> str:
        """How the model comes to read p, in a few words."""
        return "fused attention reads it as a tensor"

    def extra_repr(self) -> str:
        """Show p and the attribute."""
        return super().extra_repr().rpartition(", ")[0]


def write(owner: object, attribute: str, value: object) -> None:
    """Write ``owner.attribute``, even of a frozen dataclass."""
    try:
        setattr(owner, attribute, value)
    except FrozenInstanceError:
        object.__setattr__(owner, attribute, value)
