"""Any Pulumi Python program, run without the Pulumi CLI, a provider or an account: what it would register.

`record` is what most want. `runner.run_program` runs a program with any stand-in for the engine, `config.stack_config`
is the configuration that the CLI would hand over.
"""

from observability.program.recording import record
from observability.program.resources import Recording, Resource

__all__ = ["Recording", "Resource", "record"]
