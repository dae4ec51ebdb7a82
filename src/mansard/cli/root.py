"""The ``mansard`` command: its sub-commands are named here and imported when they are run."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from mansard.core.errors import MansardError, unknown_name

COMMANDS: dict[str, tuple[str, str]] = {
    "analyze": ("mansard.cli.analyze:analyze", "One model on one hardware: time, memory, bounds."),
    "compare": ("mansard.cli.compare:compare", "Models, chips or techniques side by side."),
    "sweep": ("mansard.cli.sweep:sweep", "Every combination of some axes, or the best of them."),
    "plan": ("mansard.cli.plan:plan", "The fewest devices that serve a rate within objectives."),
    "solve": ("mansard.cli.solve:solve", "The value that satisfies constraints."),
    "explain": ("mansard.cli.explain:explain", "What a metric is made of, down to its sources."),
    "crossovers": ("mansard.cli.crossovers:crossovers", "Where each op turns compute-bound."),
    "sensitivity": ("mansard.cli.sensitivity:sensitivity", "How a metric answers to each rate."),
    "graph": ("mansard.cli.graph:graph", "The operator graph of a model, before or after passes."),
    "serve": ("mansard.cli.serve:serve", "The viewer: a page that shows where the time goes."),
    "report": ("mansard.cli.report:report", "The viewer's page as one file, answers inlined."),
    "models": ("mansard.cli.models:models", "The models mansard knows by name."),
    "hardware": ("mansard.cli.hardware:hardware", "The chips mansard knows, with their sources."),
    "calibrate": ("mansard.cli.calibrate:calibrate", "Fit a chip from measured kernels."),
    "techniques": ("mansard.cli.techniques:techniques", "The passes: options, sources, limits."),
    "backends": ("mansard.cli.backends:backends", "What may answer in place of the roofline."),
    "plugins": ("mansard.cli.plugins:plugins", "What is installed beside mansard."),
    "config": ("mansard.cli.config:config", "What a question would use, and where it was said."),
    "doctor": ("mansard.cli.doctor:doctor", "Versions, plugins and a check of the data."),
}
"""Name → where it is ("module:object") and its line in the help."""


class LazyGroup(click.Group):
    """A group that imports a command when it is run and lists it without.

    Commands of plugins (entry points of group ``mansard.commands``) come after mansard's own; what
    one raises that is no error of mansard's is the plugin's failure, with exit code 4.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order in which they are documented."""
        from mansard.plugins.commands import listed

        return [*COMMANDS, *(name for name in listed() if name not in COMMANDS)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command; a near name when there is none.

        Raises:
            UnknownNameError: there is none.
            PluginError: it is a plugin's, and cannot be imported.
        """
        if cmd_name not in COMMANDS:
            from mansard.plugins.commands import listed, load

            if cmd_name not in (others := listed()):
                if ctx.resilient_parsing:  # a shell asks what comes after it
                    return None
                raise unknown_name("command", cmd_name, [*COMMANDS, *others])
            found = load(cmd_name)
            return found if isinstance(found, click.Command) else click.command(cmd_name)(found)
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; a plugin's that breaks is named.

        Raises:
            PluginError: a plugin's command raised what no command should.
        """
        try:
            return super().invoke(ctx)
        except (MansardError, click.ClickException, click.Abort, click.exceptions.Exit, OSError):
            raise
        except Exception as error:
            if ctx.invoked_subcommand in (None, *COMMANDS):
                raise
            from mansard.plugins.commands import failed

            raise failed(str(ctx.invoked_subcommand), error) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing one."""
        from mansard.plugins.commands import listed

        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])
        others = [(name, f"of {owner}") for name, owner in listed().items()]
        if others:
            with formatter.section("Commands of plugins"):
                formatter.write_dl(others)


class Group(click.Group):
    """A group whose misspelt commands are answered with near names."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command; raise with near names when there is none."""
        found = super().get_command(ctx, cmd_name)
        if found is None:
            raise unknown_name(f"command of {ctx.command_path}", cmd_name, self.commands)
        return found


def _version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from mansard.plugins.installed import version

        click.echo(f"mansard {version('mansard')}")
        ctx.exit()


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_version,
    help="Print the version and exit.",
)  # fmt: skip
@click.option(
    "--ignore-broken-plugins", "skip", is_flag=True,
    help="Leave out plugins that fail, with a note, instead of stopping.",
)  # fmt: skip
@click.pass_context
def root(ctx: click.Context, skip: bool) -> None:
    """Predict what LLM inference costs - time, memory, traffic - before anyone rents a GPU.

    \b
      mansard analyze llama-3.1-8b --on h100-sxm -b 16 -p 8k -n 256
      mansard analyze ./config.json --on mi300x --context 32k -f json
    """  # noqa: D301 - click reads the \b as "keep these lines"
    if skip:
        from mansard.plugins.loading import skipping_broken

        ctx.with_resource(skipping_broken())
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
