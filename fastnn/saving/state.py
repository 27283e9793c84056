"""The training state of a model that is built in code: weights, optimizer state, counters; no configuration."""

from .._core.clocks import LAYERS
from . import model as models
from .configuration import encode
from .container import FormatError


def write(path, model):
    """Write a file for `put`, atomically; `Model.load_weights` can read its weights too."""
    with model._lock:
        names, tensors = models._take_weights(model)
        config = {"kind": "weights", "weights": names, "trainable": model._trainable, "epochs_done": model.epochs_done,
                  "seed": model.seed, "state": models._take_state(model, tensors), "learning_rate": None}  # fmt: skip
        if model.optimizer.schedule is None:
            config["learning_rate"] = encode(float(model.optimizer.learning_rate), "learning_rate")
    models._write(path, config, tensors)


def put(path, model):
    """Restore a compiled and built model from a file written by `write`.

    Raises
    ------
    FormatError
        If the file does not match the model.
    OSError
    """
    with models._explained(path):
        config, tensors = models._contents(path)
        if len(config["weights"]) != len(model.weights) or "state" not in config:
            raise FormatError("the file belongs to another model")
        # By position, as automatically numbered layers have other names in another process.
        own = dict(zip((name for name, _ in config["weights"]), model.weights, strict=True))
        models.put_weights(config, tensors, own)
        model._trainable = bool(config["trainable"])
        model.feature_names = config.get("feature_names")
        LAYERS.tick()
        model.seed = models._count("seed", config["seed"], 2**64 - 1)
        model.epochs_done = models._count("epochs_done", config["epochs_done"])
        if config["learning_rate"] is not None:
            model.optimizer.learning_rate = models.configuration.decode(config["learning_rate"], {})
        models.put_state(model, config["state"], tensors, own)
