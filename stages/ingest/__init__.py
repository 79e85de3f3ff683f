"""Reading of upstream trees: each is read once, checked, repaired or rejected, and written as shards."""
