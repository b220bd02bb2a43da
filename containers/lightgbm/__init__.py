"""The trainer ``lightgbm``: gradient-boosted trees."""
