"""What trains: checkpoints, several processes, augmentation, samplers, schedules, k-NN."""
