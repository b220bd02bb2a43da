"""SVG charts of result tables, shared by the report and other pages."""
