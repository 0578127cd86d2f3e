"""``python -m mixcompare.cli``."""

from mixcompare.cli.app import main

if __name__ == "__main__":
    main()
