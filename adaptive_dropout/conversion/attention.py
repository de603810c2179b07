"""Other people's attention: what it hands to torch's fused function as p becomes a tensor that moves.

While such a module runs in training mode, its calls of `torch.nn.functional.scaled_dot_product_attention`
go to `adaptive_dropout.functional.scaled_dot_product_attention` with the module's rate. The number that the module
hands over stays as it is, so that compiled code need not compile again.

Recognised are modules whose code uses the number for nothing else than

- the argument ``dropout_p`` of a call of torch's function, as nanoGPT's and 24 of timm's classes do (those that ask
  ``self.fused_attn`` only while that is True), or
- the argument ``dropout`` of transformers' attention functions, while the model's is "sdpa", the default.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from adaptive_dropout.conversion.code import attention_use
from adaptive_dropout.conversion.numbers import Number
from adaptive_dropout.functional import scaled_dot_product_attention
from adaptive_dropout.functional.inputs import as_number, is_known_zero
from adaptive_dropout.rates import Rate

__all__ = ["fused_readers", "give_forward_back", "let_move"]

FUSED = torch.nn.functional.scaled_dot_product_attention


def fused_readers(number: Number) -> list[nn.Module]:
    """Return the modules that hand ``number`` to fused attention; none if anything else reads it."""
    # The forward of the dropout layer that holds the number reads it too.
    readers = [(module, dotted) for module, dotted in number.readers if type(module) is not nn.Dropout]
    return [module for module, _ in readers] if all(_is_fused(*reader) for reader in readers) else []


def _is_fused(module: nn.Module, dotted: str) -> bool:
    """Return whether ``module`` uses the number ``self.dotted`` as the p of fused attention, and for nothing else."""
    kind: type = type(module)
    use = attention_use(kind, dotted)
    # Where the dropout layer is called too, something has to say which of the two is in use.
    called = use.layer_called & {"forward"} if _is_of_transformers(module) else use.layer_called
    said = not called or hasattr(module, "fused_attn")
    return use.handed and said and "forward" not in vars(module) and _reaches_kernel(module)


def let_move(module: nn.Module, rate: Rate) -> None:
    """Let the fused attention of ``module`` drop with the p of ``rate``."""
    vars(module)["forward"] = _Forward(module, rate)


def give_forward_back(module: nn.Module) -> None:
    """Undo `let_move`, where it was done."""
    if isinstance(vars(module).get("forward"), _Forward):
        del vars(module)["forward"]


class _Forward:
    """The forward of a module while `let_move` holds; an object of its own, so that the module can be pickled."""

    def __init__(self, module: nn.Module, rate: Rate) -> None:
        self.module = module
        self.rate = rate

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        forward = type(self.module).forward
        if not self.module.training:
            return forward(self.module, *args, **kwargs)
        if not _reaches_kernel(self.module):
            raise RuntimeError(
                f"{type(self.module).__name__} no longer uses torch's fused attention, as it did when it was "
                "converted, so its rate would not be read; revert the model, and convert it again"
            )
        with _Moving(self.rate):
            return forward(self.module, *args, **kwargs)


class _Moving(TorchFunctionMode):
    """Makes calls of torch's fused attention ours, with the p of a rate."""

    def __init__(self, rate: Rate) -> None:
        super().__init__()
        self.rate = rate

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Make the call, or ours in its place."""
        return self._attend(*args, **(kwargs or {})) if func is FUSED else func(*args, **(kwargs or {}))

    def _attend(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Tensor:
        p = self.rate.kernel_value
        if is_known_zero(p, as_number(p)):
            return FUSED(query, key, value, attn_mask, 0.0, is_causal, scale=scale, enable_gqa=enable_gqa)
        return scaled_dot_product_attention(query, key, value, p, attn_mask, is_causal, scale, enable_gqa)


def _reaches_kernel(module: nn.Module) -> bool:
    """Return whether the present settings of ``module`` lead to torch's fused attention."""
    if _is_of_transformers(module):
        return getattr(getattr(module, "config", None), "_attn_implementation", None) == "sdpa"
    return bool(getattr(module, "fused_attn", True))


def _is_of_transformers(module: nn.Module) -> bool:
    return type(module).__module__.startswith("transformers.")
