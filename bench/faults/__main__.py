"""``python -m bench.faults``."""

from bench.faults.cli import main

if __name__ == "__main__":
    main()
