"""The kernel that executes a page: IPython's own, and a list of the project's files that the page read."""

from tutseg.reads import watch_reads

if __name__ == "__main__":
    from ipykernel import kernelapp

    watch_reads()
    kernelapp.launch_new_instance()
