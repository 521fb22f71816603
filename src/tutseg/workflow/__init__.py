"""Papermill, freshness, the book, the grid."""
