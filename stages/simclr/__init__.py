"""SimCLR pre-training, and what it gave."""
