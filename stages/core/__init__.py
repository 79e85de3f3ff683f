"""What every stage shares: params, tables, images, accounts, progress, tracking, determinism."""
