"""Methods of models that read and write files."""


class Saved:
    """Mixed into `Model`."""

    def save(self, filepath, overwrite=True, zipped=None, *, include_optimizer=True):
        """Save the whole model to a file, for `fastnn.models.load_model`.

        The file contains the configuration of the layers, all weights and, if the model is compiled, the arguments
        of `compile`, the optimizer state, the step, the seed and the number of epochs: `fit` of the
        loaded model resumes exactly where this one stopped, including dropout and shuffling. If saved
        in the middle of an epoch, it starts that epoch again. Callbacks, the history
        and `threads` are not saved.

        The format is safetensors, whatever the name of the file. An existing file is replaced atomically, or
        left unchanged if an error occurs.

        Parameters
        ----------
        filepath : str or path-like
            Any name, preferably with suffix ``.fastnn``; files are recognised by their content. The suffix of another
            format, such as ``.h5`` or ``.onnx``, causes a warning once.
        overwrite : bool
            False: raise a FileExistsError if the file exists.
        zipped : None
            For compatibility with Keras; only the default is accepted.
        include_optimizer : bool

        Raises
        ------
        TypeError
            If an object cannot be saved by name, such as a lambda.
        OSError
            If the file cannot be written; the error contains its name.
        """
        from . import model

        model.save_model(self, filepath, overwrite, zipped, include_optimizer=include_optimizer)

    def save_weights(self, filepath, overwrite=True, max_shard_size=None):
        """Save only the weights to a file, for `load_weights`.

        Parameters
        ----------
        filepath : str or path-like
        overwrite : bool
            False: raise a FileExistsError if the file exists.
        max_shard_size : None
            For compatibility with Keras; only the default is accepted.
        """
        from . import model

        model.save_weights(self, filepath, overwrite, max_shard_size)

    def load_weights(self, filepath, skip_mismatch=False, *, by_name=False):
        """Load weights from a file written by `save_weights` or `save`.

        Parameters
        ----------
        filepath : str or path-like
        skip_mismatch : bool
            Skip weights whose shapes differ.
        by_name : bool
            Load only the weights whose names (``layer/weight``) are in the file. Default: all, in the order
            of `get_weights`.

        Raises
        ------
        FormatError
            If the file was not written by fastnn, or is corrupted.
        ValueError
            If the number or the shapes of the weights do not match; nothing is changed then.
        """
        from . import model

        model.load_weights(self, filepath, skip_mismatch, by_name=by_name)
