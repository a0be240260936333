"""The command `tracr-lite`: `inputs` reads what was typed, `compare` runs, `show` prints."""
