"""The methods of a model that read and write files."""


class Saved:
    """Mixed into `Model`."""

    def save(self, filepath, overwrite=True, zipped=None, *, include_optimizer=True):
        """Write the whole model into one file, for `fastnn.models.load_model`.

        The file holds the layers' configuration, all weights and, if the model was compiled, how,
        with the optimizer's state, the step, the seed and the number of epochs done: `fit` of the
        loaded model goes on exactly where this one stopped, dropout and shuffling included. Saved
        in the middle of an epoch, it begins that epoch anew. Not in the file: callbacks, the history
        and `threads`.

        It is in the safetensors format, whatever its name. It replaces an older file at once or,
        if anything fails, not at all.

        Parameters
        ----------
        filepath : str or path-like
            Any name, best in ``.fastnn``: a file is recognised by what is in it. A suffix of another format, such as
            ``.h5`` or ``.onnx``, is warned of once.
        overwrite : bool
            False: FileExistsError if there is such a file.
        zipped : None
            For compatibility with Keras; only the default is accepted.
        include_optimizer : bool

        Raises
        ------
        TypeError
            If something has no name to be found by again, such as a lambda.
        OSError
            If it cannot be written; the error names it.
        """
        from . import model

        model.save_model(self, filepath, overwrite, zipped, include_optimizer=include_optimizer)

    def save_weights(self, filepath, overwrite=True, max_shard_size=None):
        """Write all weights, and nothing else, into one file, for `load_weights`.

        Parameters
        ----------
        filepath : str or path-like
        overwrite : bool
            False: FileExistsError if there is such a file.
        max_shard_size : None
            For compatibility with Keras; only the default is accepted.
        """
        from . import model

        model.save_weights(self, filepath, overwrite, max_shard_size)

    def load_weights(self, filepath, skip_mismatch=False, *, by_name=False):
        """Read weights from a file of `save_weights` or `save`.

        Parameters
        ----------
        filepath : str or path-like
        skip_mismatch : bool
            Leave weights of another shape as they are.
        by_name : bool
            Take those whose names (``layer/weight``) are in the file. Default: all, in the order
            of `get_weights`.

        Raises
        ------
        FormatError
            If it is no file of ours, or damaged.
        ValueError
            If number or shapes do not fit; nothing is changed then.
        """
        from . import model

        model.load_weights(self, filepath, skip_mismatch, by_name=by_name)
