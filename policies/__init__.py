"""What has to hold for every stack: a Pulumi policy pack, and the same rules without the CLI."""
