"""The response: the activations behind each dropout layer, had the network been trained at other rates.

It is learned during training, which therefore gives each example rates of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from adaptive_dropout.contexts import eager, evaluating, is_compiled, replaced, unchanged
from adaptive_dropout.controllers.moves import HIGH, LOW
from adaptive_dropout.modules import Dropout1d, Dropout2d, Dropout3d, FeatureAlphaDropout, GaussianDropout
from adaptive_dropout.signals.layers import MASKED, Steered, steered_layers
from adaptive_dropout.signals.second_order import check_differentiable

__all__ = ["Response"]

STD = 0.5  # of an example's rate around the layer's, in logits
LR = 1e-3

CHANNELS = (Dropout1d, Dropout2d, Dropout3d, FeatureAlphaDropout)
PER_EXAMPLE = (*MASKED, GaussianDropout)
"""Layers whose noise takes a p of shape (batch, 1, ...)."""


class Response:
    """Learns the response of ``model`` to its settable rates, and so how these change the validation loss.

    While it is installed and the model is in training mode, example i has the logits theta + E_i, where E_i = 0.5 e
    with a standard normal e for each rate, and the activations behind each dropout layer are

        a <- a (1 + E A^T) + E C^T

    A and C, (features, rates), start at 0 and have an Adam of their own, with learning rate 1e-3, on the training loss.
    They do not belong to the model, its ``state_dict`` or its optimizer. In eval mode nothing changes.

    Call ``draw`` before each training batch and ``learn`` after its backward pass; ``signal`` measures at any time.

    >>> from adaptive_dropout import Dropout
    >>> model = nn.Sequential(nn.Linear(2, 8), Dropout(0.3), nn.Linear(8, 1))
    >>> response = Response(model)
    >>> response.install()
    >>> response.draw(16)
    >>> model(torch.ones(16, 2)).square().mean().backward()
    >>> response.learn()
    >>> gradients = response.signal(lambda: model(torch.ones(4, 2)).square().mean())
    >>> response.remove()
    >>> sorted(gradients)
    ['1']

    Args:
        model: its dropout layers take (batch, ..., features), or (batch, channels, *spatial) if there are at least 4
            dimensions or whole channels are dropped.

    Raises:
        ValueError: there is no settable rate, or a layer with one runs compiled.
        TypeError: a layer's noise does not take a rate for each example.

    Source: MacKay et al. (2019), equations 12 and 13, with the response behind the dropout layers.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._layers = steered_layers(model)
        for path, layer, _ in self._layers:
            if not isinstance(layer, PER_EXAMPLE):
                raise TypeError(
                    f"the response gives each example a rate of its own, but {path!r}, a {type(layer).__name__}, "
                    f"takes one rate for all; use one of {', '.join(kind.__name__ for kind in PER_EXAMPLE)}"
                )
        if compiled := _compiled(model, self._layers):
            raise ValueError(f"the response is learned in layers that run uncompiled, but {compiled!r} is compiled")
        self._columns = {name: column for column, name in enumerate(dict.fromkeys(rate for *_, rate in self._layers))}
        self._changes: Tensor | None = None
        self._learned: dict[str, list[Tensor]] = {}
        self._adam = torch.optim.Adam([{"params": []}], lr=LR)

    def install(self) -> None:
        """Begin to change what the layers do in training mode, from the first `draw` on."""
        # By hand, not by `contexts.replaced`: a copy of the model copies this object, and no generator can be copied.
        for steered in self._layers:
            steered.layer.__dict__["noise"] = partial(self._noise, steered)

    def remove(self) -> None:
        """Give the layers back their own noise."""
        self._changes = None
        for _, layer, _ in self._layers:
            layer.__dict__.pop("noise", None)

    def draw(self, batch_size: int) -> None:
        """Draw the rates of ``batch_size`` examples, for all layers and forward passes until the next `learn`."""
        self._changes = STD * torch.randn(batch_size, len(self._columns), dtype=torch.float32, device=self._device)

    def parameters(self) -> list[Tensor]:
        """Return A and C of each layer that has run so far, with their gradients."""
        return [tensor for pair in self._learned.values() for tensor in pair]

    def learn(self) -> None:
        """Take one step along the gradients that the training loss left in A and C, then clear these gradients.

        Until the next `draw` the layers have their own noise: whoever measures the training loss in between does so at
        the rates themselves, on any number of examples.
        """
        self._adam.step()
        self._adam.zero_grad()
        self._changes = None

    def signal(self, validation_loss: Callable[[], Tensor], model: nn.Module | None = None) -> dict[str, float]:
        """Return, by the name of each rate, the derivative of the validation loss by its logit through the response.

        A positive derivative asks for a lower rate. The weights, A and C stay as they are.

        Args:
            validation_loss: returns the loss of a validation batch, 0-dim; runs the model, which is then in eval mode.
            model: the copy of the model that ``validation_loss`` runs, if it runs a copy.

        Raises:
            ValueError: the loss has no gradient.
        """
        model = self._model if model is None else model
        change = torch.zeros(1, len(self._columns), dtype=torch.float32, device=self._device, requires_grad=True)
        with unchanged(model), eager(), evaluating(model), torch.enable_grad(), ExitStack() as stack:
            for steered in steered_layers(model):
                stack.enter_context(replaced(steered.layer, forward=partial(self._responded, steered, change)))
            (gradient,) = torch.autograd.grad(check_differentiable(validation_loss()), change)
        return dict(zip(self._columns, gradient[0].tolist(), strict=True))

    def state_dict(self) -> dict[str, Any]:
        """Return A, C and the moments of their Adam."""
        learned = {path: [tensor.detach() for tensor in pair] for path, pair in self._learned.items()}
        return {"learned": learned, "adam": self._adam.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from the state that `state_dict` returned."""
        self._learned, self._adam = {}, torch.optim.Adam([{"params": []}], lr=LR)
        for path, pair in state["learned"].items():
            self._add(path, [tensor.to(self._device) for tensor in pair])
        self._adam.load_state_dict(state["adam"])

    @property
    def _device(self) -> torch.device:
        return self._layers[0].layer.rate.value.device

    def _noise(self, steered: Steered, x: Tensor, p: Tensor) -> Tensor:
        changes = self._changes
        noise: Callable[..., Tensor] = type(steered.layer).noise  # type: ignore[attr-defined]  # those of PER_EXAMPLE
        if changes is None:
            return noise(steered.layer, x, p)
        if len(x) != len(changes):
            raise ValueError(
                f"the response gives each example a rate of its own, but {steered.path!r} gets {len(x)} rows for "
                f"{len(changes)} examples; its input has to be (batch, ...)"
            )
        logits = torch.logit(p.clamp(LOW, HIGH)) + changes[:, self._columns[steered.rate]]
        own = torch.sigmoid(logits).reshape(-1, *[1] * (x.dim() - 1))
        return self._responded(steered, changes, noise(steered.layer, x, own))

    def _responded(self, steered: Steered, changes: Tensor, a: Tensor) -> Tensor:
        path, layer, _ = steered
        features = 1 if a.dim() > 3 or isinstance(layer, CHANNELS) else a.dim() - 1
        if path not in self._learned:
            size = (a.shape[features], len(self._columns))
            self._add(path, [torch.zeros(size, dtype=torch.float32, device=a.device) for _ in range(2)])
        shape = [1] * a.dim()
        shape[0], shape[features] = len(changes), a.shape[features]
        scale, shift = ((changes @ tensor.T).reshape(shape) for tensor in self._learned[path])
        return (a * (1 + scale) + shift).to(a.dtype)

    def _add(self, path: str, pair: list[Tensor]) -> None:
        self._learned[path] = [tensor.requires_grad_() for tensor in pair]
        self._adam.add_param_group({"params": self._learned[path]})


def _compiled(model: nn.Module, layers: list[Steered]) -> str | None:
    """Return the path of the first of ``layers`` that runs in compiled code."""
    inside = {id(part) for module in model.modules() if is_compiled(module) for part in module.modules()}
    return next((steered.path for steered in layers if id(steered.layer) in inside), None)
