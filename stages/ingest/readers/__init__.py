"""One reader for each upstream format."""
