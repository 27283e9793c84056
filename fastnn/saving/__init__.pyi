from ..models import load_model as load_model
from .container import FormatError as FormatError
from .model import load_weights as load_weights
from .model import save_model as save_model
from .model import save_weights as save_weights
