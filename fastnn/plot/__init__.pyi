from .curves import history as history
from .heat_map import gradients as gradients
from .layer_outputs import activations as activations
from .learning_rates import lr_finder as lr_finder
from .learning_rates import schedule as schedule
from .quantities import health as health
