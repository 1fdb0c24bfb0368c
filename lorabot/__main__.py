"""``python -m lorabot`` is the command ``lorabot``."""

from lorabot.cli import main

if __name__ == "__main__":
    main()
