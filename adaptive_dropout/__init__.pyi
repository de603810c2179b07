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
    RestartController as RestartController,
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
from .deprecated import (
    class_spread as class_spread,
    gaussian_spread as gaussian_spread,
    output_spread as output_spread,
)
from .estimators import (
    ARM as ARM,
    DisARM as DisARM,
    Estimator as Estimator,
)
from .inference import (
    class_log_likelihood as class_log_likelihood,
    class_uncertainty as class_uncertainty,
    consistent_mc_samples as consistent_mc_samples,
    fit_noise_precision as fit_noise_precision,
    gaussian_log_likelihood as gaussian_log_likelihood,
    gaussian_uncertainty as gaussian_uncertainty,
    mc_dropout as mc_dropout,
    mc_samples as mc_samples,
    mutual_information as mutual_information,
    output_uncertainty as output_uncertainty,
    predictive_entropy as predictive_entropy,
)
from .modules import (
    AlphaDropout as AlphaDropout,
    BernoulliDropout as BernoulliDropout,
    ConcreteDropout as ConcreteDropout,
    ConcreteDropout1d as ConcreteDropout1d,
    ConcreteDropout2d as ConcreteDropout2d,
    ConcreteDropout3d as ConcreteDropout3d,
    ConcreteLayer as ConcreteLayer,
    ContextualDropout as ContextualDropout,
    ContextualDropout2d as ContextualDropout2d,
    DropEdge as DropEdge,
    DropHead as DropHead,
    DropKey as DropKey,
    DropNode as DropNode,
    Dropout as Dropout,
    Dropout1d as Dropout1d,
    Dropout2d as Dropout2d,
    Dropout3d as Dropout3d,
    DropPath as DropPath,
    EmbeddingDropout as EmbeddingDropout,
    FeatureAlphaDropout as FeatureAlphaDropout,
    GaussianDropout as GaussianDropout,
    LockedDropout as LockedDropout,
    NoiseLayer as NoiseLayer,
    PatchDropout as PatchDropout,
    Penalised as Penalised,
    Rated as Rated,
    SparseConv1d as SparseConv1d,
    SparseConv2d as SparseConv2d,
    SparseConv3d as SparseConv3d,
    SparseLayer as SparseLayer,
    SparseLinear as SparseLinear,
    Standout as Standout,
    VariationalDropout as VariationalDropout,
    VariationalLinear as VariationalLinear,
    WeightDrop as WeightDrop,
    WordDropout as WordDropout,
)
from .noise.replica import (
    get_replica as get_replica,
    set_replica as set_replica,
)
from .penalties import (
    MeanLoss as MeanLoss,
    concrete_penalty as concrete_penalty,
    l1 as l1,
    l2 as l2,
    max_norm_ as max_norm_,
    penalty as penalty,
)
from .pruning import (
    SparseRow as SparseRow,
    Sparsity as Sparsity,
    prune as prune,
    sparsity as sparsity,
)
from .rates import (
    AttributeRate as AttributeRate,
    EffectiveRate as EffectiveRate,
    LearnedRate as LearnedRate,
    LearnedVariance as LearnedVariance,
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
from .steering import (
    ControlLoop as ControlLoop,
    Snapshot as Snapshot,
)

__version__: str
