"""What trains: checkpoints, several processes, augmentation, schedules, k-NN."""
