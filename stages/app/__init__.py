"""What a person uses: find the match of a photo among photos of their own."""
