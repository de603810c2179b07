"""Reading code that someone else wrote, to see which numbers of a module it uses as drop probabilities.

`uses` reads the source. `names_read` reads the byte code, which is there even without the source, but it only tells
which names the code mentions.
"""

from adaptive_dropout.conversion.code.attention import attention_use
from adaptive_dropout.conversion.code.bytecode import functions_called, names_read
from adaptive_dropout.conversion.code.uses import Uses, uses

__all__ = ["Uses", "attention_use", "functions_called", "names_read", "uses"]
