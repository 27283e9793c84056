"""What made the files beside it, run with FASTNN_ISA=scalar in a checkout of 20c21dc: python make.py FOLDER"""

import sys

import numpy as np

import fastnn
from fastnn import callbacks, layers, optimizers


def data():
    i = np.arange(48 * 5).reshape(48, 5)
    return ((i * 37 % 101) / 50 - 1).astype(np.float32), (np.arange(48) % 3).astype(np.int32)


def build(dtype):
    fastnn.set_random_seed(3)
    dense = layers.Dense(9, "relu", kernel_regularizer="l2")
    last = layers.Dense(3, "softmax")
    stack = [fastnn.Input((5,)), dense, layers.BatchNormalization(), layers.Dropout(0.25), last]
    model = fastnn.Sequential(stack, dtype=dtype)
    rate = optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    optimizer = optimizers.SGD(rate, momentum=0.9, clipvalue=0.5)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], seed=11)
    return model


def main(folder):
    (x, y), expected = data(), {}
    for dtype in ("float32", "float64"):
        model = build(dtype)
        model.fit(x, y, epochs=2, batch_size=20, verbose=0)
        model.save(f"{folder}/model-{dtype}")
        expected |= {f"{dtype}-loaded-{i}": w for i, w in enumerate(model.get_weights())}
        expected[f"{dtype}-predicted"] = model.predict(x, verbose=0)
        if dtype == "float32":
            model.save_weights(f"{folder}/weights-{dtype}")
        model.fit(x, y, epochs=4, initial_epoch=2, batch_size=20, verbose=0)
        expected |= {f"{dtype}-resumed-{i}": w for i, w in enumerate(model.get_weights())}
    checkpoint = callbacks.ModelCheckpoint(f"{folder}/middle-float32", save_freq=10)  # 6 batches an epoch
    build("float32").fit(x, y, epochs=2, batch_size=8, verbose=0, callbacks=[checkpoint])
    np.savez_compressed(f"{folder}/expected.npz", **expected)


if __name__ == "__main__":
    main(sys.argv[1])
