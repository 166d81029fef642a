"""``python -m volforensic``: the same as the command."""

from volforensic.cli.main import main

main()
