"""tutseg: five papers on segmenting lesions with little labelled data, running."""

__version__ = "0.1.0"
