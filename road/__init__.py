"""The road from a commit to production: what the workflows' steps do, and the same steps on this machine."""
