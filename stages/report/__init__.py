"""What people read: statistics, leakage, the leaderboard, seeds, reviews, the end of a repro."""
