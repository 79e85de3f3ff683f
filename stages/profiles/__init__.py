"""From profiles to params.yaml: composition, checks before anything runs, hand edits."""
