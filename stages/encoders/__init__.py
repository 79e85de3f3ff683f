"""Recipes of the trained encoders: the published systems C, B and D, and metric learning as classification."""
