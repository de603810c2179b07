"""The hypergradient: what the next optimizer step would do to the validation loss if a rate were a little higher."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from adaptive_dropout.contexts import eager, evaluating, unchanged
from adaptive_dropout.controllers.moves import HIGH, LOW
from adaptive_dropout.probability import clip, logit
from adaptive_dropout.signals.layers import approximated, steered_layers
from adaptive_dropout.signals.second_order import check_differentiable, differentiable_twice, grad, grad_of_grad
from adaptive_dropout.transfer import read_numbers

__all__ = ["hypergradient"]


def hypergradient(
    model: nn.Module,
    optimizers: Sequence[torch.optim.Optimizer],
    training_loss: Callable[[], Tensor],
    validation_loss: Callable[[], Tensor],
) -> dict[str, float]:
    """Return, by the name of each settable rate, the derivative of the look-ahead validation loss by its logit.

    A positive derivative asks for a lower rate. It is

        h_l = -d <g, v> / d logit_l

    where g is the gradient of the training loss with Gaussian noise in place of masks, g_v is that of the validation
    loss, and v = lr clip(g_v / (sqrt(vhat) + eps), -1, 1) is how Adam would scale and bound g_v. This is exact in the
    limit of a small learning rate, and costs as much as training on 10/3 such batches. Weights, gradients, buffers,
    modes, rates and torch's generators stay as they were.

    Args:
        model: in training mode. A rate outside [0.001, 0.9] is measured at the nearer end.
        optimizers: those that train it. For one without second moments, such as SGD or any before its first step,
            v = lr g_v.
        training_loss: returns the loss of a training batch, 0-dim; runs the model in its own mode.
        validation_loss: returns the loss of a validation batch, 0-dim; runs the model, which is then in eval mode.

    Raises:
        ValueError: a loss has no gradient, or the training loss does not depend on a settable rate.
        TypeError: there is no Gaussian form of a layer's noise (see `gaussian_noise`).
        RuntimeError: something in the model cannot be differentiated twice.

    Source: Baydin et al. (2018), equation 6, for the rates of dropout; Adam's scaling as in `torch.optim.Adam`.
    """
    layers = steered_layers(model)
    device = {rate: layer.rate.value.device for _, layer, rate in layers}
    start = {rate: logit(clip(layer.p, LOW, HIGH)) for _, layer, rate in layers}
    logits = {rate: torch.full((), start[rate], device=device[rate], requires_grad=True) for rate in start}
    with unchanged(model), differentiable_twice(model), eager():
        with evaluating(model):
            steps = _steps(optimizers, validation_loss())
        with approximated(layers, {rate: torch.sigmoid(value) for rate, value in logits.items()}):
            return dict(zip(logits, _derivatives(training_loss(), steps, list(logits.values())), strict=True))


def _steps(optimizers: Sequence[torch.optim.Optimizer], loss: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Return ``(weight, v)`` for each weight that ``loss`` depends on."""
    entries = [(group, o.state, w) for o in optimizers for group in o.param_groups for w in group["params"]]
    trained = [(group, state.get(w, {}), w) for group, state, w in entries if w.requires_grad]
    gradients = grad(check_differentiable(loss), [w for _, _, w in trained])
    found = [
        (w, _scaled(g, group, state)) for (group, state, w), g in zip(trained, gradients, strict=True) if g is not None
    ]
    if not found:
        raise ValueError("the validation loss depends on no weight of the optimizers; give those that train the model")
    return found


@torch.no_grad()
def _scaled(gradient: Tensor, group: dict[str, Any], state: dict[str, Any]) -> Tensor:
    step: Tensor = gradient * group["lr"]
    if "exp_avg_sq" not in state or "step" not in state:
        return step
    corrected: Tensor = state["exp_avg_sq"] / (1 - group["betas"][1] ** state["step"])
    scale: Tensor = corrected.sqrt() + group["eps"]
    # Once training's gradient has died down, validation's can be a hundred times as large; Adam would not step so far.
    # On 200 digits at p = .8 the mean is 4 standard errors with the clip, and -1 without, with outliers of 87 medians.
    return (step / scale).clamp(-group["lr"], group["lr"])


def _derivatives(loss: Tensor, steps: Sequence[tuple[Tensor, Tensor]], logits: Sequence[Tensor]) -> list[float]:
    weights, along = [w for w, _ in steps], [v for _, v in steps]
    try:
        found = grad_of_grad(loss, weights, along, logits)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        raise RuntimeError(
            f"the hypergradient needs a second derivative, which this model lacks ({str(error).splitlines()[0]}); "
            "ResponseController needs only the first"
        ) from error
    if all(derivative is None for derivative in found):
        raise ValueError("the training loss depends on no settable rate; the model has to be in training mode")
    # 0 for a rate whose layers took no part in this batch: nothing is known about it.
    return read_numbers([0.0 if derivative is None else -derivative for derivative in found])
