"""Result tables: their schema, and how they are written and read."""
