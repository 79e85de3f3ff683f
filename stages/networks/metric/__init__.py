"""The networks of the ensemble, siamese, FIR and normalized-softmax encoders."""
