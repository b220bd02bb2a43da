"""Explanations: importance, partial dependence, SHAP values."""
