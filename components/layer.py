"""The layer with the packages that the handlers import."""

from typing import TypedDict

import pulumi
import pulumi_aws as aws

from components.checks import refuse, short_enough
from components.function import ARCHITECTURE, RUNTIME


class DependencyLayerArgs(TypedDict):
    """What is in the layer."""

    content: pulumi.Input[pulumi.Archive]
    """Archive with the packages under `python/`."""


class DependencyLayer(pulumi.ComponentResource):
    """A Lambda layer for the runtime and architecture that InstrumentedFunction uses."""

    layer_arn: pulumi.Output[str]
    """ARN of the layer's version."""

    def __init__(self, name: str, args: DependencyLayerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        refuse("DependencyLayer", name, [short_enough("layer", f"{name}-dependencies", 140, suffix=0)])
        super().__init__("mailroom:index:DependencyLayer", name, None, opts)
        layer = aws.lambda_.LayerVersion(
            f"{name}-dependencies",
            # Stacks may share the name: each publishes versions of its own under it.
            layer_name=f"{name}-dependencies",
            code=args["content"],
            compatible_runtimes=[RUNTIME],
            compatible_architectures=[ARCHITECTURE],
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.layer_arn = layer.arn
        self.register_outputs({"layer_arn": self.layer_arn})
