"""Models that someone else wrote: what drops in them, made adjustable in place, and given back."""

from adaptive_dropout.conversion.inventory import Inventory, Row, inventory
from adaptive_dropout.conversion.swap import convert, revert

__all__ = ["Inventory", "Row", "convert", "inventory", "revert"]
