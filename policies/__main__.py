"""Both ways to ask the rules: the engine runs this folder as a policy pack, people run `python -m policies`."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent

if __name__ == "__main__" and not __package__:
    # The engine runs the folder, from within it: what it calls modules are parts of the package to everybody else.
    sys.path[:] = [str(HERE.parent), *(each for each in sys.path if Path(each or ".").resolve() != HERE)]

    from observability.errors import ToolkitError
    from policies.pack import run

    try:
        run()
    except ToolkitError as error:
        sys.exit(f"error: {error}\n{error.remedy}".rstrip())
elif __name__ == "__main__":
    from policies.commands import main

    main()
