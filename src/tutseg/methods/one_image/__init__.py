"""Methods that segment one picture with no labels and no training set."""
