"""The local page of a wardrobe (`make app`): its server, what it refuses, and what it shows."""
