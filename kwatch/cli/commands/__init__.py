"""One module a command, each with the click command of its name."""
