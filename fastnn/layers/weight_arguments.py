"""What layers with an initializer, a regularizer and a constraint of each weight among their arguments share."""

KINDS = ("initializer", "regularizer", "constraint")


def keep(layer, given, *weights):
    """Store the arguments ``<weight>_initializer``, ``…_regularizer`` and ``…_constraint`` of each of the weights.

    Parameters
    ----------
    given : dict
        Arguments of the constructor by name: its ``locals()``.
    """
    for name in (f"{weight}_{kind}" for weight in weights for kind in KINDS):
        setattr(layer, name, given[name])


def add(layer, name, shape, layout="vector"):
    """`Layer.add_weight` with the layer's arguments for this weight."""
    rules = {kind: getattr(layer, f"{name}_{kind}") for kind in KINDS}
    return layer.add_weight(shape, name=name, layout=layout, **rules)


def features_of(layer, input_shape):
    """Number of features of a flat input; ValueError for another input."""
    if len(input_shape) != 2:
        raise ValueError(
            f"{layer.name}: expected a flat input (features,), got shape {tuple(input_shape[1:])};"
            " put a Flatten layer before it"
        )
    return input_shape[-1]
