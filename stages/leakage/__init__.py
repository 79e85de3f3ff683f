"""Held-out pictures that a training set has: near duplicates, and garments that it may show in another photo."""
