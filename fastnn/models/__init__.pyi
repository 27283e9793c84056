from ..saving.model import load_model as load_model
from ..saving.model import save_model as save_model
from .cloning import clone_model as clone_model
from .functional import Functional as Functional
from .model import Model as Model
from .sequential import Sequential as Sequential
