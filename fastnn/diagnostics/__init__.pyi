from ..callbacks.health import Health as Health
from .consistency import ConsistencyWarning as ConsistencyWarning
from .consistency import Finding as Finding
from .consistency import findings as findings
from .gradient_check import EntryCheck as EntryCheck
from .gradient_check import GradientCheck as GradientCheck
from .gradient_check import check_gradient as check_gradient
from .non_finite import NonFiniteError as NonFiniteError
