"""Labels that are probably wrong, and how their corrections come into data/relabel.csv."""
