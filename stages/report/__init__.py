"""What people read: statistics, the leaderboard, seeds, reviews, the end of a repro."""
