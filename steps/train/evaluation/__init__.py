"""Evaluation: folds, metrics, and their estimates."""
