"""The wardrobe of a person: find the garments of a photo among their own photos."""
