"""Small reference networks with dropout in the classical places, every dropout layer with a rate of its own.

Their parts have readable names, and so have the rates: ``dropout1``, ``blocks.0.attention.dropout``, ...
"""

from __future__ import annotations

from adaptive_dropout.networks.cnn import CNN
from adaptive_dropout.networks.factory import DropoutFactory
from adaptive_dropout.networks.gpt import GPT
from adaptive_dropout.networks.mlp import MLP

__all__ = ["CNN", "GPT", "MLP", "DropoutFactory"]
