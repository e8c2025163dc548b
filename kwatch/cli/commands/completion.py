"""`kwatch completion`: the script that teaches a shell to complete."""

from __future__ import annotations

import click

from kwatch.cli.options import COMMAND_CONTEXT

SCRIPTS = {"bash": "kwatch.bash", "zsh": "_kwatch", "fish": "kwatch.fish"}


@click.command(context_settings=COMMAND_CONTEXT)
@click.argument("shell", type=click.Choice(list(SCRIPTS)))
def completion(shell: str) -> int:
    """Print the script that completes kwatch's command line in SHELL: bash, zsh or fish.

    \b
    source <(kwatch completion bash)                                  # in ~/.bashrc
    source <(kwatch completion zsh)                                   # in ~/.zshrc, after compinit
    kwatch completion fish > ~/.config/fish/completions/kwatch.fish

    `kubectl kwatch` is completed by kubectl's own script, which asks kubectl_complete-kwatch.
    """
    from importlib.resources import files

    click.echo((files("kwatch.cli.completion") / SCRIPTS[shell]).read_text(), nl=False)
    return 0
