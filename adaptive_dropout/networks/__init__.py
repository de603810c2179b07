"""Small reference networks with dropout in the usual places; each dropout layer has a rate of its own.

Their parts have readable names, and so do the rates: ``dropout1``, ``blocks.0.attention.dropout``, ...
"""

from __future__ import annotations

from adaptive_dropout.networks.cnn import CNN
from adaptive_dropout.networks.factory import DropoutFactory
from adaptive_dropout.networks.gpt import GPT
from adaptive_dropout.networks.lstm import LSTMLanguageModel
from adaptive_dropout.networks.mlp import MLP

__all__ = ["CNN", "GPT", "MLP", "DropoutFactory", "LSTMLanguageModel"]
