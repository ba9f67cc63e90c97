"""Metrics: functions from predictions and true values to scores."""
