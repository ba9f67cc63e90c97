"""Run the command line as ``python -m ensuite``."""

from ensuite.cli.app import main

main()
