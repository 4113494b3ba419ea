"""The operator's commands: `python -m ops --help`. They find a stack, local or on AWS, by its outputs."""
