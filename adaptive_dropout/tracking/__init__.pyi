from . import names as names
from .decisions import Decision as Decision
from .history import History as History, Point as Point, RateSummary as RateSummary
from .run import Run as Run, replay as replay
from .wandb.logger import WandbLogger as WandbLogger
from .wandb.reading import read_run as read_run
