"""``python -m nas``: the command line without its script on the path."""

from nas.cli import main

main()
