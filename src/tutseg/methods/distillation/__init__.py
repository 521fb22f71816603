"""Methods in which one network learns what another says."""
