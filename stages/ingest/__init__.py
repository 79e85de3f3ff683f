"""The trust boundary: upstream trees are read once, checked, repaired or rejected, and written as shards."""
