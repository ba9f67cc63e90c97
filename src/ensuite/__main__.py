"""Run the command line as ``python -m ensuite``."""

from ensuite.cli.app import main

if __name__ == "__main__":  # processes of --jobs import this file as well
    main()
