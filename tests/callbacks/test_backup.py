"""`BackupAndRestore` and `SwapEMAWeights`."""

import numpy as np
import pytest
from callback_tools import X, Y

import fastnn
from fastnn import callbacks, layers
from fastnn.callbacks import BackupAndRestore, SwapEMAWeights


def network(optimizer=None):
    fastnn.set_random_seed(7)
    made = fastnn.Sequential([layers.Dense(5, "tanh", input_shape=(3,)), layers.Dropout(0.2), layers.Dense(1)])
    made.compile(optimizer or fastnn.Adam(0.01), "mse", seed=3)
    return made


class Interrupt(callbacks.Callback):
    def __init__(self, epoch, batch=None):
        super().__init__()
        self.epoch, self.batch, self.now = epoch, batch, 0
        if batch is not None:
            self.on_train_batch_end = self.at_batch

    def on_epoch_begin(self, epoch, logs=None):
        self.now = epoch
        if self.batch is None and epoch == self.epoch:
            raise KeyboardInterrupt

    def at_batch(self, batch, logs=None):
        if (self.now, batch) == (self.epoch, self.batch):
            raise KeyboardInterrupt


@pytest.mark.parametrize("at", [0, 1, 3, 5])
def test_the_same_call_resumes_bit_for_bit(at, tmp_path):
    whole = network()
    expected = whole.fit(X, Y, 4, 6, verbose=0).history["loss"]
    backup = BackupAndRestore(tmp_path / "backup")
    with pytest.raises(KeyboardInterrupt):
        network().fit(X, Y, 4, 6, verbose=0, callbacks=[backup, Interrupt(at)])
    made = network()
    history = made.fit(X, Y, 4, 6, verbose=0, callbacks=[BackupAndRestore(tmp_path / "backup")])
    assert history.epoch == list(range(at, 6)) and history.history["loss"] == expected[at:]
    for a, b in zip(whole.get_weights(), made.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not (tmp_path / "backup").exists() and made.epochs_done == 6
    again = network()
    with pytest.raises(KeyboardInterrupt):  # another training begins anew
        again.fit(X, Y, 4, 6, verbose=0, callbacks=[BackupAndRestore(tmp_path / "backup"), Interrupt(0)])


def test_record_of_a_resumed_training(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        network().fit(X, Y, 4, 5, verbose=0, callbacks=[BackupAndRestore(tmp_path), Interrupt(2)])
    made = network()
    record = made.fit(X, Y, 4, 5, verbose=0, callbacks=[BackupAndRestore(tmp_path)]).record
    assert record["first_epoch"] == 2 and record["steps"] == [5, 5, 5] and record["steps_before"] == 10


def test_backups_within_an_epoch_and_two_of_them(tmp_path):
    backup = BackupAndRestore(tmp_path, save_freq=2, double_checkpoint=True, delete_checkpoint=False)
    with pytest.raises(KeyboardInterrupt):
        network().fit(X, Y, 4, 6, verbose=0, callbacks=[backup, Interrupt(2, 3)])
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["epoch-000001.fastnn", "epoch-000002.fastnn"]
    (tmp_path / names[-1]).write_bytes(b"broken")
    made = network()
    history = made.fit(X, Y, 4, 6, verbose=0, callbacks=[BackupAndRestore(tmp_path, delete_checkpoint=False)])
    assert history.epoch == [1, 2, 3, 4, 5]
    assert network().fit(X, Y, 4, 6, verbose=0, callbacks=[BackupAndRestore(tmp_path)]).epoch == []  # finished
    assert not list(tmp_path.parent.glob("backup/*"))


def test_errors_of_backups(tmp_path):
    unbuilt = fastnn.Sequential([layers.Dense(1)])
    unbuilt.compile("sgd", "mse")
    with pytest.raises(ValueError, match="backup_dir"):
        BackupAndRestore("")
    with pytest.raises(ValueError, match="save_freq"):
        BackupAndRestore(tmp_path, 0)
    (tmp_path / "epoch-000001.fastnn").write_bytes(b"broken")
    with pytest.raises(ValueError, match="epoch-000001"):
        network().fit(X, Y, verbose=0, callbacks=[BackupAndRestore(tmp_path)])


def averaged(momentum=0.5):
    return fastnn.SGD(0.1, use_ema=True, ema_momentum=momentum)


class Weights(callbacks.Callback):
    def __init__(self, *hooks):
        super().__init__()
        self.seen = []
        for hook in hooks:
            setattr(self, hook, lambda *a, logs=None, hook=hook: self.seen.append((hook, self.model.get_weights())))


def by_hand(epochs, momentum=0.5):
    """Weights and averages after each epoch of one batch, without the callback."""
    plain = network(fastnn.SGD(0.1))
    average, found = None, []
    for _ in range(epochs):
        plain.fit(X, Y, 20, 1, verbose=0)
        average = average or plain.get_weights()  # as in Keras, the first step begins the average
        average = [momentum * a + (1 - momentum) * w for a, w in zip(average, plain.get_weights(), strict=True)]
        found.append((plain.get_weights(), average))
    return found


@pytest.mark.parametrize("swap_on_epoch", [False, True])
def test_validation_sees_the_averages(swap_on_epoch):
    made, expected = network(averaged()), by_hand(4)
    note = Weights("on_test_begin", "on_epoch_begin", "on_epoch_end")
    made.fit(X, Y, 20, 4, verbose=0, validation_data=(X, Y), callbacks=[SwapEMAWeights(swap_on_epoch), note])
    at = ("on_test_begin", 0, 1), ("on_epoch_end", 0, int(swap_on_epoch)), ("on_epoch_begin", -1, 0)
    for name, shift, which in at:
        seen = [weights for hook, weights in note.seen if hook == name]
        for epoch, weights in enumerate(seen):
            if epoch + shift >= 0:
                for a, b in zip(weights, expected[epoch + shift][which], strict=True):
                    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    for a, b in zip(made.get_weights(), expected[-1][1], strict=True):  # at the end those of `use_ema`
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_training_is_the_same_with_and_without():
    pair = [network(averaged()) for _ in range(2)]
    for made, chosen in zip(pair, ([], [SwapEMAWeights(True)]), strict=True):
        made.fit(X, Y, 4, 3, verbose=0, validation_data=(X, Y), callbacks=chosen)
        made.fit(X, Y, 4, 3, verbose=0, callbacks=chosen)
    for a, b in zip(pair[0].get_weights(), pair[1].get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_averages_are_needed():
    with pytest.raises(ValueError, match="use_ema=True"):
        network().evaluate(X, Y, verbose=0, callbacks=[SwapEMAWeights()])
