"""Lightning callbacks: they say when rates move and where that is logged; controllers and schedules say how.

`AdaptiveDropout` is `DropoutRateControl` with the default rule, conversion of the model, and a table at the end. Every
callback works in the Trainer and the command line of ``pytorch_lightning`` as in those of ``lightning.pytorch``. The
callback for transformers' Trainer is in `adaptive_dropout.callbacks.transformers`.

Which metric is the validation loss:

- ``monitor=None`` takes the loss that ModelCheckpoint or EarlyStopping watch in mode "min", else ``val_loss``, else
  the only loss or metric that validation logs. Several candidates are an error before training, which lists them; if
  they are first seen later, a warning.
- It may be logged in any way that Lightning allows: ``log``, ``log_dict``, metric objects, at the end of the epoch,
  ``on_step`` with ``on_epoch``, under ``/dataloader_idx_1``.
- A score to be maximised is recognised by the callbacks that watch it, by its metric, or because it rises on training
  data while the network learns; ``mode="max"`` says it. Its negative is then the loss.
- Summed losses, in-batch negatives and batches of unlike sizes are compared through the losses of the untrained
  network. Where levels mean nothing, only the speed at which they fall counts.
- Where ``training_step`` has another loss than validation (label smoothing, mixup, auxiliary terms) or none (a GAN),
  the values show it; training is then measured by validation's loss, with dropout on.
- A NaN in a batch is left out. Where no decision can be made, the rates stay.

How a rewind, or a restart from the initial weights, gets on with the rest of a run:

- ModelCheckpoint: the restore waits for the next batch, so each checkpoint holds the weights whose metrics it names.
- EarlyStopping counts from the best validation on, over rewinds. Give it a patience of a third of the validations, at
  least 10, and ``check_finite=False`` if a diverged run is to be rewound.
- WeightAveraging and EMAWeightAveraging stand behind the control in ``callbacks``. The average that validation
  measured comes back with the weights, and is left at the end. StochasticWeightAveraging is refused: validation never
  sees its average.
- Learning-rate schedules and the scale of float16 go on: a restart trains at the learning rates of its time.
  Half-accumulated gradients are dropped.
- Manual optimization: all optimizers are rewound; a step is a batch; ``training_step`` returns the loss.
- Streams of unknown length need ``max_steps``.
- ``torch.compile``, frozen or tied layers and DDP work. FSDP and DeepSpeed are refused for rules that rewind; the
  others and schedules work there.
- ``folder=...`` keeps the snapshots on disk, where they stay after the run; use one folder for each run.
- A resumed run goes on bit for bit where the data lies in memory (``TensorDataset``, ``Digits``, ``Arrays``). Else the
  clean loss goes on with other examples. `GeneratorCheckpoint` is for processes that do not draw alike.

Several processes: Lightning seeds them alike, so by default the n-th example of each loses the same units, as with
torch's layers. With `MaskPerReplica` each data-parallel process draws masks of its own.

Beside the run, the copy of the module that is measured may write no file and open no connection.

`RDrop` and `MultiSampleDropout` run each training step again with other masks, in any LightningModule that optimizes
automatically: what the step draws, counts, collects and logs happens once.
"""

from adaptive_dropout.callbacks.adaptive import AdaptiveDropout
from adaptive_dropout.callbacks.bernoulli_gradient import BernoulliGradient
from adaptive_dropout.callbacks.control import DropoutRateControl
from adaptive_dropout.callbacks.generators import GeneratorCheckpoint
from adaptive_dropout.callbacks.learned_monitor import LearnedRateMonitor
from adaptive_dropout.callbacks.mask_per_replica import MaskPerReplica
from adaptive_dropout.callbacks.mc_dropout import MCDropoutPredictor
from adaptive_dropout.callbacks.monitor import DropoutRateMonitor
from adaptive_dropout.callbacks.multi_sample import MultiSampleDropout
from adaptive_dropout.callbacks.penalties import L1Penalty, L2Penalty, MaxNorm, RatePenalty
from adaptive_dropout.callbacks.progress import DropoutProgressBar
from adaptive_dropout.callbacks.r_drop import RDrop
from adaptive_dropout.callbacks.scheduler import DropoutRateScheduler

__all__ = [
    "AdaptiveDropout",
    "BernoulliGradient",
    "DropoutProgressBar",
    "DropoutRateControl",
    "DropoutRateMonitor",
    "DropoutRateScheduler",
    "GeneratorCheckpoint",
    "L1Penalty",
    "L2Penalty",
    "LearnedRateMonitor",
    "MCDropoutPredictor",
    "MaskPerReplica",
    "MaxNorm",
    "MultiSampleDropout",
    "RDrop",
    "RatePenalty",
]
