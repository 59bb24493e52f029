"""`python -m paddle2torch` is the `paddle2torch` command."""

from .cli import main

if __name__ == "__main__":
    main()
