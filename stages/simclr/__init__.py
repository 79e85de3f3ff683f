"""SimCLR pre-training and its evaluation."""
