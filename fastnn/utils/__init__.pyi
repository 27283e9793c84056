from .._base.random import set_random_seed as set_random_seed
from .arrays import normalize as normalize
from .arrays import split_dataset as split_dataset
from .arrays import to_categorical as to_categorical
from .timeseries import timeseries_dataset_from_array as timeseries_dataset_from_array
from .model_graph import plot_model as plot_model
