"""Training, evaluation and prediction of a model."""
