"""The papers as data: their numbers, their claims, their contradictions."""
