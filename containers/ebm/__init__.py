"""The trainer ``ebm``: explainable boosting machines, which add up one curve per feature."""
