"""The trainer ``linear``: elastic net and logistic regression."""
