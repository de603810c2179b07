from . import functional as functional
from .controllers import (
    BalanceController as BalanceController,
    Chain as Chain,
    Clip as Clip,
    Controller as Controller,
    FixedController as FixedController,
    GapController as GapController,
    HypergradientController as HypergradientController,
    Partition as Partition,
    PlateauController as PlateauController,
    ResponseController as ResponseController,
    RewindController as RewindController,
    SlopeController as SlopeController,
    SpeedLimit as SpeedLimit,
    State as State,
)
from .conversion import (
    Inventory as Inventory,
    Row as Row,
    convert as convert,
    inventory as inventory,
    revert as revert,
)
from .inference import (
    class_spread as class_spread,
    consistent_mc_samples as consistent_mc_samples,
    gaussian_spread as gaussian_spread,
    mc_dropout as mc_dropout,
    mc_samples as mc_samples,
    mutual_information as mutual_information,
    output_spread as output_spread,
    predictive_entropy as predictive_entropy,
)
from .modules import (
    AlphaDropout as AlphaDropout,
    ConcreteDropout as ConcreteDropout,
    ConcreteDropout1d as ConcreteDropout1d,
    ConcreteDropout2d as ConcreteDropout2d,
    ConcreteDropout3d as ConcreteDropout3d,
    Dropout as Dropout,
    Dropout1d as Dropout1d,
    Dropout2d as Dropout2d,
    Dropout3d as Dropout3d,
    DropPath as DropPath,
    FeatureAlphaDropout as FeatureAlphaDropout,
    GaussianDropout as GaussianDropout,
    NoiseLayer as NoiseLayer,
    Penalised as Penalised,
)
from .penalties import penalty as penalty
from .rates import (
    AttributeRate as AttributeRate,
    LearnedRate as LearnedRate,
    Rate as Rate,
    ScheduledRate as ScheduledRate,
    SettableRate as SettableRate,
    get_rates as get_rates,
    named_rates as named_rates,
    rate_param_groups as rate_param_groups,
    refresh_rates as refresh_rates,
    set_rates as set_rates,
    set_step as set_step,
)
from .schedules import (
    AnnealedSchedule as AnnealedSchedule,
    ConstantSchedule as ConstantSchedule,
    CosineSchedule as CosineSchedule,
    CurriculumSchedule as CurriculumSchedule,
    CyclicSchedule as CyclicSchedule,
    EarlySchedule as EarlySchedule,
    ExponentialSchedule as ExponentialSchedule,
    LateSchedule as LateSchedule,
    LinearSchedule as LinearSchedule,
    Schedule as Schedule,
    SequentialSchedule as SequentialSchedule,
    StepSchedule as StepSchedule,
)
from .snapshot import Snapshot as Snapshot

__version__: str
