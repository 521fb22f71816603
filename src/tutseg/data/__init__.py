"""Images and masks in: drawn lesions, official layouts, splits, augmentation, batches."""
