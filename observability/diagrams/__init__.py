"""Pictures of a program: how what it registers hangs together, as Mermaid flowcharts that GitHub draws.

`graph.graph_of` reads nodes and edges out of a recording, `views` cuts them into pictures that can be read, `mermaid`
writes them down.
"""
