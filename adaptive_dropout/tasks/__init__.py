"""LightningModules that train any network: the loss, its metrics, and the optimizer."""

from adaptive_dropout.tasks.base import Task
from adaptive_dropout.tasks.classifier import Classifier
from adaptive_dropout.tasks.language_model import LanguageModel
from adaptive_dropout.tasks.regressor import Regressor
from adaptive_dropout.tasks.stateful_language_model import StatefulLanguageModel

__all__ = ["Classifier", "LanguageModel", "Regressor", "StatefulLanguageModel", "Task"]
