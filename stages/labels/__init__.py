"""Label policies: upstream's annotations become the classes of the heads."""
