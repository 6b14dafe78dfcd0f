import { Argument, Command } from "commander";

const shells = ["bash", "zsh", "fish"] as const;
type Shell = (typeof shells)[number];

/** `lake completion`: what a shell needs to complete commands and options. */
export function createCompletionCommand(lake: Command): Command {
  return new Command("completion")
    .description("print completions for your shell")
    .addArgument(new Argument("<shell>").choices(shells))
    .addHelpText("after", examples)
    .action((shell: Shell) => {
      process.stdout.write(completionScript(shell, wordsOf(lake)));
    });
}

const examples = `
Examples:
  source <(lake completion bash)
  lake completion zsh > "\${fpath[1]}/_lake"
  lake completion fish > ~/.config/fish/completions/lake.fish`;

/** What may follow a command; the empty path is \`lake\` itself. */
interface WordSet {
  /** Names of the commands so far, such as \`wallet new\`. */
  readonly path: string;
  readonly words: readonly { readonly word: string; readonly about: string }[];
}

/** Every command with its subcommands and options. */
export function wordsOf(command: Command, path = ""): readonly WordSet[] {
  const subcommands = command.commands.filter((each) => each.name() !== "help");
  const words = [
    ...subcommands.map((each) => ({ word: each.name(), about: each.description() })),
    ...command.options.map((each) => ({
      word: each.long ?? each.short ?? "",
      about: each.description,
    })),
    { word: "--help", about: "explain" },
  ];
  const below = subcommands.flatMap((each) => wordsOf(each, `${path} ${each.name()}`.trim()));
  return [{ path, words }, ...below];
}

/** The script for one shell. */
export function completionScript(shell: Shell, sets: readonly WordSet[]): string {
  if (shell === "fish") return fishScript(sets);
  const cases = sets.map(({ path, words }) => {
    const names = words.map(({ word }) => word).join(" ");
    return `    "${path}") words="${names}" ;;`;
  });
  const body = [
    "_lake_words() {",
    '  local path="" word words=""',
    '  for word in "$@"; do',
    '    case "$word" in -*) continue ;; esac',
    '    case " $(_lake_commands "$path") " in',
    '      *" $word "*) path="${path:+$path }$word" ;;',
    "    esac",
    "  done",
    '  _lake_commands "$path"',
    "}",
    "_lake_commands() {",
    "  local words",
    '  case "$1" in',
    ...cases,
    "  esac",
    '  echo "$words"',
    "}",
  ];
  return shell === "bash" ? bashScript(body) : zshScript(body);
}

function bashScript(body: readonly string[]): string {
  return [
    ...body,
    "_lake() {",
    '  local current="${COMP_WORDS[COMP_CWORD]}"',
    '  local before=("${COMP_WORDS[@]:1:COMP_CWORD-1}")',
    '  COMPREPLY=($(compgen -W "$(_lake_words "${before[@]}")" -- "$current"))',
    "}",
    "complete -o default -F _lake lake",
    "",
  ].join("\n");
}

function zshScript(body: readonly string[]): string {
  return [
    "#compdef lake",
    ...body,
    "_lake() {",
    "  local -a found",
    '  found=(${=$(_lake_words "${words[@]:1:CURRENT-2}")})',
    "  compadd -a found",
    "  _files",
    "}",
    "compdef _lake lake",
    "",
  ].join("\n");
}

function fishScript(sets: readonly WordSet[]): string {
  const lines = sets.flatMap(({ path, words }) => {
    const names = path === "" ? [] : path.split(" ");
    const below = words.filter(({ word }) => !word.startsWith("-")).map(({ word }) => word);
    const seen = names.map((name) => `__fish_seen_subcommand_from ${name}`);
    const unseen = below.map((word) => `not __fish_seen_subcommand_from ${word}`);
    const when = [...seen, ...unseen].join("; and ");
    const condition = when === "" ? "" : ` -n '${when}'`;
    return words.map(({ word, about }) => {
      const name = word.startsWith("--") ? `-l ${word.slice(2)}` : `-a ${word}`;
      return `complete -c lake${condition} ${name} -d '${about.replace(/'/g, "\\'")}'`;
    });
  });
  return `${lines.join("\n")}\n`;
}
