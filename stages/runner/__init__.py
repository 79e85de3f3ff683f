"""What runs and shows a stage, and never changes what it writes: params to main, progress, tracking in MLflow."""
