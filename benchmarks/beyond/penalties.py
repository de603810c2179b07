"""What dropout on the input of a linear model comes to on average, in closed form: penalties without any noise.

Both have p / (1 - p) in front, the variance of a mask scaled by 1 / (1 - p).
"""

from __future__ import annotations

from torch import Tensor

__all__ = ["feature_penalty", "product_penalty"]


def feature_penalty(x: Tensor, weight: Tensor, logits: Tensor, p: Tensor) -> Tensor:
    """Return what dropping features adds to the cross-entropy of each example, to second order in the noise, (batch,).

    It is 1/2 p / (1 - p) sum_j x_j^2 Var_k(w_kj), the variance of the weights of feature j under the predicted
    probabilities of the classes: an L2 penalty that is weak on features that are rare or only seen where the model is
    sure. For two classes that variance is pi (1 - pi) (w_1j - w_0j)^2.

    Args:
        x: (batch, features).
        weight: (classes, features).
        logits: (batch, classes), of the model without noise.
        p: the probability of dropping a feature, in [0, 1), 0-dim.

    Source: the quadratic approximation of Wager, Wang and Liang (2013), "Dropout training as adaptive regularization",
    who write it for two classes; for more it follows from the same expansion, with the Hessian of the softmax.
    """
    classes = logits.softmax(-1)
    variance = classes @ weight.square() - (classes @ weight).square()  # (batch, features)
    return 0.5 * p / (1 - p) * (x.square() * variance).sum(-1)


def product_penalty(left: Tensor, right: Tensor, p: Tensor) -> Tensor:
    """Return what dropping factors adds to the squared error of each entry of a product of matrices, (batch,).

    It is p / (1 - p) sum_k u_k^2 v_k^2, exactly. Over all entries of a matrix it sums to the squared norms of the two
    columns of each factor, multiplied.

    Args:
        left: (batch, factors), the rows of one matrix.
        right: (batch, factors), those of the other.
        p: the probability of dropping a factor, in [0, 1), 0-dim.

    Source: Cavazza et al. (2018), "Dropout as a low-rank regularizer for matrix factorization", for whole matrices.
    """
    return p / (1 - p) * (left * right).square().sum(-1)
