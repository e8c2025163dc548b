"""The man pages: options out of click's tree, the rest out of text/ beside this module. `make man` writes them.

A text has sections headed by a line in capitals. In them: paragraphs, `code`, terms (a line with an indented
explanation below) and indented blocks, which are printed as they are.
"""

from __future__ import annotations

import inspect
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

import kwatch.cli.options
from kwatch.cli import cli
from kwatch.errors import ExitCode

TEXT = Path(__file__).parent / "text"
SECTIONS = ("DESCRIPTION", "EXAMPLES", "EXIT STATUS", "ENVIRONMENT", "FILES")
"""In this order, the options after the first; what the text of a page lacks, that of `common` gives."""
NEEDED = ("DESCRIPTION", "EXAMPLES")
"""What each page has to have of its own."""

CODES = {
    ExitCode.OK: "Ended as asked; conditions are met.",
    ExitCode.ERROR: "An error; a line on standard error says which.",
    ExitCode.USAGE: "The command line is wrong.",
    ExitCode.FAILED: "`--fail-on` was met, or what was waited for can't come any more.",
    ExitCode.TIMED_OUT: "`--timeout` passed.",
    ExitCode.HUNG_UP: "SIGHUP; a run that writes an output file opens it again, and goes on.",
    ExitCode.INTERRUPTED: "Ctrl-C.",
    ExitCode.PIPE_CLOSED: "The reader of standard output went away.",
    ExitCode.TERMINATED: "SIGTERM.",
}


OF_OPTIONS = {
    "`KUBECONFIG`": "kubeconfig",
    "`KUBECACHEDIR`": "cache_dir",
    "`HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`": "proxy_url",
    "`NO_COLOR`": "color",
    "`~/.kube/config`": "kubeconfig",
    "`~/.kube/cache/kwatch`": "cache_dir",
    f"`{int(ExitCode.FAILED)}`": "fail_on",
    f"`{int(ExitCode.TIMED_OUT)}`": "timeout",
}
"""What is said of commands alone that have such an option, by the term that `common` or the codes explain."""
AT_ONCE = ("completion", "state")
"""Commands that print something and are done: nobody stops those."""
ALIASES = {"kubectl-kwatch.1": ".so man1/kwatch.1\n"}
"""Pages under another name."""


def pages() -> dict[str, str]:
    """Each page's file name and content."""
    return {f"{name}.1": _page(name, command) for name, command in commands().items()} | ALIASES


def commands() -> dict[str, click.Command]:
    """Each page's name and command, `kwatch` and then `kwatch-watch` and its like."""
    shown = {f"kwatch-{name}": each for name, each in sorted(cli.commands.items()) if not each.hidden}
    return {"kwatch": cli, **shown}


def sections(name: str) -> dict[str, str]:
    """The hand-written sections of a page, by heading; empty where there is no text yet."""
    path = TEXT / f"{name}.txt"
    parts = re.split(r"^([A-Z][A-Z ]+)\n", path.read_text(), flags=re.MULTILINE) if path.exists() else [""]
    return {heading: body.strip("\n") for heading, body in zip(parts[1::2], parts[2::2], strict=True)}


def starter(command: click.Command) -> str:
    """A text to begin with, made of the command's help."""
    prose, _, block = inspect.cleandoc(command.help or "").partition("\n\b\n")
    examples, _, rest = block.partition("\n\n")
    indented = "\n".join(f"    {line}" for line in (examples or f"kwatch {command.name}").splitlines())
    return f"DESCRIPTION\n{prose.strip()}\n\n{rest}\n\nEXAMPLES\n{indented}\n".replace("\n\n\n\n", "\n\n")


def _page(name: str, command: click.Command) -> str:
    own = sections(name)
    common = {heading: _applying(text, command) for heading, text in (sections("common") | _codes(command)).items()}
    written = {heading: text for heading, text in (common | own).items() if text}
    more = [heading for heading in own if heading not in SECTIONS]
    short = (command.help or "").strip().partition("\n")[0].rstrip(".").partition(": ")[0]
    blocks = [
        f'.TH {_escaped(name.upper())} 1 "" "kwatch" "User Commands"\n.nh\n.ad l',
        f".SH NAME\n{_inline(f'{name} - {_decapitalised(short)}')}",
        f".SH SYNOPSIS\n{_synopsis(name, command)}",
        f".SH DESCRIPTION\n{_roff(written['DESCRIPTION'])}",
        *([] if command is cli else [f".SH OPTIONS\n{_options(command)}"]),
        *(f".SH {heading}\n{_roff(written[heading])}" for heading in (*more, *SECTIONS[1:]) if heading in written),
        f".SH SEE ALSO\n{_see_also(name)}",
    ]
    return "\n".join(blocks) + "\n"


def _applying(text: str, command: click.Command) -> str:
    """Those of the terms explained that the command has to do with; kwatch itself is its `watch`."""
    shown = (cli.commands["watch"] if command is cli else command).params
    options = {str(each.name): max(each.opts, key=len) for each in shown if isinstance(each, click.Option)}
    kept = [block for block in text.split("\n\n") if _applies(block.partition("\n")[0], options)]
    example = options.get("field_selector") or max(options.values(), key=len, default="")
    variable = "KWATCH_" + example.lstrip("-").replace("-", "_").upper()
    return "\n\n".join(kept).replace("`OPTION`", f"`{example}`").replace("`VARIABLE`", f"`{variable}`")


def _applies(term: str, options: Mapping[str, str]) -> bool:
    return bool(options) if term == "`KWATCH_OPTION`" else OF_OPTIONS.get(term, "") in ("", *options)


def _decapitalised(text: str) -> str:
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]


def _synopsis(name: str, command: click.Command) -> str:
    if isinstance(command, click.Group):
        shown = [("kwatch", cli.commands["watch"]), *((f"kwatch {each}", cli.commands[each]) for each in cli.commands)]
        return "\n.br\n".join(_invocation(words, each) for words, each in shown)
    return _invocation(name.replace("-", " ", 1), command)


def _invocation(words: str, command: click.Command) -> str:
    """`kwatch wait [OPTIONS] TYPE [NAMES]…`."""
    parts = [f"\\fB{_escaped(words)}\\fR", "[\\fIOPTIONS\\fR]"]
    for each in command.params:
        if isinstance(each, click.Argument):
            word = f"\\fI{(each.metavar or each.name or '').upper()}\\fR"
            parts.append((word if each.required else f"[{word}]") + ("..." if each.nargs == -1 else ""))
    return " ".join(parts)


def _options(command: click.Command) -> str:
    """The command's own options, then those it shares with others, under the name of their group."""
    groups = _groups()
    shown = [each for each in command.params if isinstance(each, click.Option) and not each.hidden]
    headed: dict[str, list[click.Option]] = {"": []}
    for each in shown:
        headed.setdefault(groups.get(each.name or "", ""), []).append(each)
    lines = []
    for heading, options in headed.items():
        lines += [f".SS {heading}"] * bool(heading and options) + [_option(each) for each in options]
    return "\n".join(lines) + "\n.TP\n\\fB\\-h\\fR, \\fB\\-\\-help\\fR\nShow the options and exit."


def _groups() -> dict[str, str]:
    """Of each shared option the name of its group, the largest where several have it."""
    found: dict[str, str] = {}
    tuples = {name: value for name, value in vars(kwatch.cli.options).items() if isinstance(value, tuple)}
    for name, group in sorted(tuples.items(), key=lambda item: len(item[1])):
        if all(callable(each) for each in group):
            command = kwatch.cli.options.options_of(group)(lambda: None)
            found |= {each.name: name.capitalize() for each in command.__click_params__}
    return found


def _option(option: click.Option) -> str:
    names = ", ".join(f"\\fB{_escaped(each)}\\fR" for each in [*option.opts, *option.secondary_opts])
    value = "" if option.is_flag else f" \\fI{_escaped(_value(option))}\\fR"
    shown = f" [default: {option.default}]" if option.show_default else ""
    return f".TP\n{names}{value}\n{_inline((option.help or '') + shown)}"


def _value(option: click.Option) -> str:
    if option.metavar:
        return option.metavar
    return "|".join(option.type.choices) if isinstance(option.type, click.Choice) else option.type.name.upper()


def _codes(command: click.Command) -> dict[str, str]:
    ended = [code for code in ExitCode if code < ExitCode.HUNG_UP or command.name not in AT_ONCE]
    return {"EXIT STATUS": "\n\n".join(f"`{int(code)}`\n    {CODES[code]}" for code in ended)}


def _see_also(name: str) -> str:
    others = [each for each in commands() if each != name] if name == "kwatch" else ["kwatch"]
    lines = [f".BR {_escaped(each)} (1)," for each in [*others, "kubectl"]]
    return "\n".join(lines).removesuffix(",")


# Text to roff


def _roff(text: str) -> str:
    return "\n".join(_blocks(text))


def _blocks(text: str) -> Iterator[str]:
    """Paragraphs, terms and literal blocks; what is separated by blank lines."""
    first = True
    for block in re.split(r"\n\s*\n", text):
        lines = block.splitlines()
        if not lines:
            continue
        if lines[0].startswith("    "):
            yield (
                ("" if first else ".PP\n")
                + ".RS 4\n.nf\n"
                + "\n".join(_line(_escaped(each.removeprefix("    "))) for each in lines)
                + "\n.fi\n.RE"
            )
        elif len(lines) > 1 and lines[1].startswith("    "):
            yield f".TP\n{_marked(lines[0])}\n{_inline(' '.join(each.strip() for each in lines[1:]))}"
        else:
            yield ("" if first else ".PP\n") + _inline(" ".join(lines))
        first = False


def _inline(text: str) -> str:
    """One paragraph; each sentence begins a line, so that a change shows as one."""
    sentences = re.split(r"(?<=[.;:]) (?=[^ ])", _marked(" ".join(text.split())))
    lines = [line for each in sentences for line in textwrap.wrap(each, 78, **_WRAP)]
    return "\n".join(_line(each) for each in lines)


def _marked(text: str) -> str:
    """The text for roff, `code` in bold."""
    parts = re.split(r"`([^`]+)`", text)
    return "".join(f"\\fB{_escaped(each)}\\fR" if index % 2 else _escaped(each) for index, each in enumerate(parts))


def _line(text: str) -> str:
    """A line that roff doesn't take for a request."""
    return f"\\&{text}" if text.startswith((".", "'")) else text


_WRAP: Any = {"break_long_words": False, "break_on_hyphens": False}
_CHARACTERS: Mapping[str, str] = {
    "\\": "\\e",
    "-": "\\-",
    "'": "\\(aq",
    "`": "\\(ga",
    "^": "\\(ha",
    "~": "\\(ti",
    "…": "...",
}


def _escaped(text: str) -> str:
    return "".join(_CHARACTERS.get(each, each) for each in text)


def write(folder: Path) -> None:
    """All pages, a text to begin with for each command that has none; pages of commands that are gone are removed."""
    for name, command in commands().items():
        if not (path := TEXT / f"{name}.txt").exists():
            path.write_text(starter(command))
            print(f"{path} is made of the command's help: complete it")
    made = pages()
    for old in folder.glob("*.1"):
        if old.name not in made:
            old.unlink()
    for name, content in made.items():
        (folder / name).write_text(content)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
