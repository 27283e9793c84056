"""The healthy twins: five architectures on every data set, compiled and trained as a tutorial recommends."""

from dataclasses import replace

from .program import Hidden, Program

ARCHITECTURES = {
    "relu": (Hidden(32, "relu", "he_normal"), Hidden(16, "relu", "he_normal")),
    "tanh": (Hidden(32, "tanh"), Hidden(16, "tanh")),
    "wide": (Hidden(128, "relu"),),
    "bn": tuple(Hidden(n, "relu", "he_normal", bias=False, bn=True) for n in (64, 32)),
    "dropout": (Hidden(96, "elu", "he_normal", dropout=0.1), Hidden(48, "elu", "he_normal")),
}
EPOCHS = {"digits": 20, "circles": 40, "flowers": 40, "houses": 40, "patients": 12, "waves": 60, "topics": 15,
          "clothes": 8}  # fmt: skip
OPTIMIZERS = {"relu": ("Adam", 3e-3), "tanh": ("Adam", 3e-3), "wide": ("Adam", 5e-3), "bn": ("Adam", 1e-3),
              "dropout": ("RMSprop", 1e-3)}  # fmt: skip
ENDS = {
    "classes": ("softmax", "sparse_categorical_crossentropy", ("accuracy",)),
    "binary": ("sigmoid", "binary_crossentropy", ("accuracy",)),
    "labels": ("sigmoid", "binary_crossentropy", ("accuracy",)),
    "values": (None, "mse", ("mae",)),
}


def base(data, architecture, seed):
    """The program that all faults are planted in."""
    last, loss, metrics = ENDS[data.task]
    optimizer, rate = OPTIMIZERS[architecture]
    return Program(
        f"{data.name}/{architecture}/{seed}", data, ARCHITECTURES[architecture], data.classes, last, loss,
        optimizer, rate, metrics=metrics, epochs=EPOCHS[data.name], seed=seed,
    )  # fmt: skip


def deep(program, depth, units=16, **options):
    """The program with so many equal hidden layers."""
    return replace(program, hidden=(Hidden(units, **options),) * depth)
