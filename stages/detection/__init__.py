"""Box tables, detector training, evaluation and prediction."""
