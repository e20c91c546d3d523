"""``python -m bench.converge``."""

from bench.converge.cli import main

if __name__ == "__main__":
    main()
