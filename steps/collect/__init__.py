"""The collect step: from records to result tables and a report."""
