"""What an administrator deploys once to an account, so that workflows can deploy the rest: state, roles, boundary."""
