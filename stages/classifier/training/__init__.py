"""How the classifier learns."""
