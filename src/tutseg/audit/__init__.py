"""The arithmetic over printed numbers: what the cells of a results table owe one another."""
