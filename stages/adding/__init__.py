"""A person's own data: its format recognised, its columns and superclasses guessed, its profile written."""
