"""Mistakes that mypy must report, each in the line with the mark and with that code; see test_typing.py."""

import fastnn
from fastnn import callbacks, initializers, layers, losses, metrics, ops, optimizers

layers.Dense("64x")  # E: arg-type
layers.Dense(64, kernal_initializer="zeros")  # E: call-arg
layers.Dense(64, trainable="no")  # E: arg-type
layers.Desne(64)  # E: attr-defined
layers.Dropout(rate=[0.5])  # E: arg-type
layers.Dense(3).unit  # E: attr-defined
fastnn.Sequentail()  # E: attr-defined
fastnn.Sequential([layers.Dense(3)]).fitt()  # E: attr-defined
fastnn.Sequential(layers=[3])  # E: list-item
fastnn.Sequential().compile("adam", loss=3.0)  # E: arg-type
fastnn.Sequential().fit([[1.0]], [1.0], epochs="3")  # E: arg-type
optimizers.Adam(1e-3, beta1=0.9)  # E: call-arg
optimizers.Adam("fast")  # E: arg-type
losses.MeanSquaredError(reduction="average")  # E: arg-type
losses.huber([1.0])  # E: call-arg
losses.hubber([1.0], [1.0])  # E: attr-defined
metrics.AUC(curve="roc curve")  # E: arg-type
metrics.Precission()  # E: attr-defined
callbacks.EarlyStopping(mode="best")  # E: arg-type
callbacks.EarlyStopping(patients=3)  # E: call-arg
initializers.HeNormal(sead=1)  # E: call-arg
initializers.VarianceScaling(mode="fan")  # E: arg-type
fastnn.activations.relu([1.0], slope=0.1)  # E: call-arg
ops.leaky_relu([1.0], negative_slop=0.1)  # E: call-arg
