"""Vectors of pictures, and the one evaluator that scores them."""
