"""A trained detector as files, and the network that it is."""
