"""One module a command, each with one function `command`; `__main__` registers them."""
