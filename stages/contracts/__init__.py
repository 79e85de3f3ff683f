"""What passes between stages: tables, ledgers of rows, splits, images."""
