"""A comparison as an experiment: candidates, runs, statistics, leaderboard."""
