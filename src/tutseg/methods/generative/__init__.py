"""Methods that draw pictures like those they were shown."""
