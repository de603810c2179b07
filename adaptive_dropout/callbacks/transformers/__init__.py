"""Dropout rates in the Trainer of Hugging Face's transformers, for which there is the extra ``transformers``."""

try:
    import accelerate as _accelerate  # its Trainer cannot be made without
    import transformers as _transformers
except ImportError as error:
    raise ImportError(f"{error}; pip install 'adaptive-dropout[transformers]' has what its Trainer needs") from error

from adaptive_dropout.callbacks.transformers.callback import AdaptiveDropoutCallback

__all__ = ["AdaptiveDropoutCallback"]

del _accelerate, _transformers
