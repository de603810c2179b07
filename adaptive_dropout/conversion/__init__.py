"""Models that someone else wrote: their dropout is made adjustable in place, and given back.

Found, and what `convert` makes of it:

- torch's dropout layers, at p = 0 too, the drop paths of timm, torchvision and transformers, and the identities that
  they, PEFT and torchtune put where the rate is 0: a layer of ours. The DropBlocks of timm and torchvision too; ours
  loses exactly p. The locked dropout of fastai and torchnlp.
- Numbers that the code of a module hands to a function that drops, as in ``F.dropout(x, self.rate)``, whatever their
  names are; and by their names those of torch, transformers, timm, torchvision, PEFT, torchtune and fastai
  (``nn.LSTM``, attention, activations, ``layerdrop``): an `AttributeRate`, which writes them in place.
- Such numbers in a configuration, as in ``self.config.dropout``: the same, in a copy that the model gets. Your
  configuration and ``hparams`` stay as written.
- Numbers that only look like a rate, or that a probability is computed from, as in ``1 - self.keep_prob``: left alone,
  and listed with the reason.
- What sounds like dropout and is not recognised, such as a layer that draws its mask by itself, or a list of rates:
  listed as "not recognised".
- Numbers in the code, as in ``F.dropout(x, 0.1)``: listed, if `inventory` is given an example input.

Keys of the ``state_dict``, hooks, devices and shared layers stay as they are. BERT, GPT-2, T5, ViT, Llama and Whisper
of transformers, four families of timm and torch's own models are tested rate by rate.

Attention that hands its number to ``F.scaled_dot_product_attention``, and to nothing else, reads its rate as a tensor,
and the number stays: in transformers' models with the default attention "sdpa", in timm's with ``fused_attn``, and in
code like nanoGPT's. Neither it nor a layer ever compiles again. On a GPU it has no second derivative, like torch's.

Other numbers, those of eager attention among them, are written in hundredths: ``torch.compile`` compiles again for each
new one, and gives up after ``torch._dynamo.config.recompile_limit`` (8) of them. Raise that, or leave them out with
``where``. Rules that follow derivatives leave numbers where they are.
"""

from adaptive_dropout.conversion.inventory import Inventory, Row, inventory
from adaptive_dropout.conversion.swap import convert, revert

__all__ = ["Inventory", "Row", "convert", "inventory", "revert"]
