"""The multi-head attribute classifier, learned from partial labels: training, evaluation, ablation."""
