"""Draws people, garments and photos, the same bytes on every machine."""
