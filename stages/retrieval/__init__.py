"""Vectors of pictures, and the evaluator that scores them."""
