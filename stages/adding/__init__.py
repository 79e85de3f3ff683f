"""A person's own data: its format recognized, its columns and superclasses guessed, its profile written."""
