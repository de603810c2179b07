"""Whether network and data fit together, known before the first batch."""

from __future__ import annotations

from typing import Any

__all__ = ["check_sizes"]

# what the data module calls it: where the configuration says it
SIZES = {
    "num_features": "network.init_args.in_features",
    "in_channels": "network.init_args.in_channels",
    "image_size": "network.init_args.image_size",
    "num_classes": "num_classes",
    "vocabulary": "network.init_args.vocabulary",
}


def check_sizes(model_config: Any, data: object) -> None:
    """Compare the sizes in the configuration of the model with those that the data module knows of its data.

    Raises:
        ValueError: they differ.
    """
    settings = model_config.init_args
    for attribute, key in SIZES.items():
        wanted, given = getattr(data, attribute, None), settings.get(key)
        if isinstance(wanted, int) and isinstance(given, int) and wanted != given:
            name = key.replace(".init_args", "")
            raise ValueError(f"{name} is {given}, but the data has {wanted}; set --model.init_args.{key} {wanted}")
