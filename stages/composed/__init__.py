"""Pictures composed of garments from test photos, whose truth is known, and what the search makes of them."""
