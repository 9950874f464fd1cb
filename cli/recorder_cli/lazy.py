"""Groups of commands that are modules, imported on use."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from keyword import iskeyword
from typing import ClassVar

import click


class LazyGroup(click.Group):
    """Commands by name, with what the overview says of each: the first line of the command's own help.

    The command `x` is `x` in the module `PREFIXx` of this package; `import`, a keyword, is `import_`.
    """

    overview: ClassVar[dict[str, str]] = {}
    prefix: ClassVar[str] = ""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(self.overview)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in self.overview:
            return None
        name = f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name
        command = getattr(import_module(f"{__package__}.{self.prefix}{name}"), name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(self.overview.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name in self.overview or name.startswith("-"):
            return super().resolve_command(ctx, args)
        near = get_close_matches(name, self.overview, n=1)
        raise click.UsageError(f"no such command {name!r}" + (f"; did you mean {near[0]}?" if near else ""), ctx)
