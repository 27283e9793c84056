"""Training steps, epochs and single calls, through the public face."""

import fastnn

from . import common


class Steps(common.Threads):
    """Many optimizer steps (Adam) in one call; divide by the number in common.STEPS for one."""

    params = [common.nets(), common.DTYPES, common.THREADS]
    param_names = ["net", "dtype", "threads"]

    def prepare(self, net, dtype):
        batch, steps = common.ROWS[net].batch, common.STEPS[net]
        self.batch = batch
        self.model = common.build(net, dtype)
        self.x, self.y = common.data(net, batch * steps, dtype)
        self.fit()  # plans, allocates, takes the page faults

    def fit(self):
        self.model.fit(self.x, self.y, batch_size=self.batch, epochs=1, shuffle=False, verbose=0)

    def time_steps(self, net, dtype, threads):
        self.fit()


class Epoch(common.Threads):
    """`fit` as it is used: 60,000 uint8 images, shuffled, accuracy, validation."""

    params = [[6000] if common.QUICK else [60000], [32, 128], common.THREADS]
    param_names = ["images", "batch_size", "threads"]
    number = 1
    warmup_time = 0
    repeat = (2, 5, 20.0)

    def prepare(self, images, batch_size):
        self.x, self.y = common.images(images)
        fastnn.set_random_seed(0)
        layers = fastnn.layers
        self.model = fastnn.Sequential([layers.Flatten(input_shape=[28, 28])])
        for units in (300, 100):
            self.model.add(layers.Dense(units, activation="relu", kernel_initializer="he_normal"))
        self.model.add(layers.Dense(10, activation="softmax"))
        self.model.compile(
            loss="sparse_categorical_crossentropy", optimizer="adam", metrics=["accuracy"]
        )
        self.held_out = self.x[: images // 6], self.y[: images // 6]
        self.model.fit(self.x[:256], self.y[:256], batch_size=batch_size, verbose=0)

    def time_fit(self, images, batch_size, threads):
        self.model.fit(
            self.x,
            self.y,
            batch_size=batch_size,
            validation_data=self.held_out,
            epochs=1,
            verbose=0,
        )

    def time_evaluate(self, images, batch_size, threads):
        self.model.evaluate(self.x, self.y, batch_size=batch_size, verbose=0)

    def time_predict(self, images, batch_size, threads):
        self.model.predict(self.x, batch_size=batch_size, verbose=0)


class OneCall(common.Threads):
    """What one call costs on a small net: Python around a few microseconds of work."""

    params = [common.nets("rl", "fmnist"), [1, 32], [1]]
    param_names = ["net", "batch_size", "threads"]

    def prepare(self, net, batch_size):
        self.model = common.build(net)
        self.x, self.y = common.data(net, batch_size)
        self.model.train_on_batch(self.x, self.y)
        self.model.predict_on_batch(self.x)

    def time_train_on_batch(self, net, batch_size, threads):
        self.model.train_on_batch(self.x, self.y)

    def time_predict_on_batch(self, net, batch_size, threads):
        self.model.predict_on_batch(self.x)


class Build:
    """From constructors to the first step taken."""

    params = [common.nets("fmnist-bn", "deep")]
    param_names = ["net"]
    timeout = 120

    def setup(self, net):
        self.x, self.y = common.data(net, common.ROWS[net].batch)

    def time_build_and_compile(self, net):
        common.build(net)

    def time_to_the_first_step(self, net):
        common.build(net).train_on_batch(self.x, self.y)
