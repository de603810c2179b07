from . import names as names
from .history import History as History, Point as Point, RateSummary as RateSummary
from .reading import read_run as read_run
from .replaying import replay as replay
from .run import Decision as Decision, Run as Run
from .wandb_logger import WandbLogger as WandbLogger
