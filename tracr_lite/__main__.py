"""`python -m tracr_lite`: the command line without the installed script."""

from tracr_lite.cli.app import main

if __name__ == "__main__":
    main()
