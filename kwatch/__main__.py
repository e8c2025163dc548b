"""`python -m kwatch`: the same as the `kwatch` command."""

from kwatch.cli import main

if __name__ == "__main__":
    main()
