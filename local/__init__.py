"""The whole stack on this machine: emulator, deployer, SES twin and X-Ray listener. See FIDELITY.md."""
