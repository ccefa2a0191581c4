import { Argument, type Command, type Option } from 'commander';

/** What may follow a command on its line, as the shells' scripts need it. */
interface Node {
  /** Words from the program's name on, without it: `log stat`. */
  words: string[];
  description: string;
  commands: Node[];
  options: Flag[];
  /** What its arguments are completed with: names, or files. */
  choices: string[];
  files: boolean;
}

interface Flag {
  long: string;
  description: string;
  takesValue: boolean;
  choices: string[];
  files: boolean;
}

const SCRIPTS = { bash: bashScript, zsh: zshScript, fish: fishScript };

/** `tilefold completion`: a script made of the commands themselves, for a shell to read once. */
export function addCompletion(program: Command) {
  program
    .command('completion')
    .description('print the completion script of a shell: source <(tilefold completion bash)')
    .addArgument(new Argument('<shell>', 'whose script').choices(Object.keys(SCRIPTS)))
    .action((shell: keyof typeof SCRIPTS) => console.log(SCRIPTS[shell](nodeOf(program, [], []))));
}

function nodeOf(command: Command, words: string[], inherited: Flag[]): Node {
  const own = command.options.filter(option => !option.hidden && option.long).map(flagOf);
  const options = [...own, ...inherited];
  const names = command.registeredArguments;
  return {
    words,
    description: command.description(),
    commands: command.commands.map(each => nodeOf(each, [...words, each.name()], words.length === 0 ? own : inherited)),
    options: [
      ...options,
      { long: '--help', description: 'display help', takesValue: false, choices: [], files: false },
    ],
    choices: names.flatMap(argument => argument.argChoices ?? []),
    files: names.some(argument => isFile(argument.name())),
  };
}

function flagOf(option: Option): Flag {
  return {
    long: option.long!,
    description: option.description,
    takesValue: option.required || option.optional,
    choices: option.argChoices ?? [],
    files: isFile(/<([^>.]+)/.exec(option.flags)?.[1] ?? ''),
  };
}

function isFile(name: string): boolean {
  return ['file', 'files', 'dir', 'folder'].includes(name);
}

function allOf(node: Node): Node[] {
  return [node, ...node.commands.flatMap(allOf)];
}

/** A command's place in the script: empty for the program itself, ` log stat` for a command of a command. */
function pathOf(node: Node): string {
  return node.words.map(word => ` ${word}`).join('');
}

function bashScript(root: Node): string {
  const nodes = allOf(root);
  const valued = nodes.flatMap(node => node.options.filter(o => o.takesValue).map(flag => ({ node, flag })));
  const pattern = (node: Node, word: string) => `'${pathOf(node)} ${word}'`;
  const values = valued.map(({ node, flag }) => {
    const reply = flag.files ? '_tilefold_files' : `_tilefold_words '${flag.choices.join(' ')}'`;
    return `    ${pattern(node, flag.long)}) ${reply}; return ;;`;
  });
  const replies = nodes.map(node => {
    const words = [...node.commands.map(each => each.words.at(-1)!), ...node.choices];
    const flags = node.options.map(flag => flag.long);
    return `    '${pathOf(node)}') _tilefold_reply '${words.join(' ')}' '${flags.join(' ')}' ${node.files} ;;`;
  });
  return `# Completion of tilefold for bash: source <(tilefold completion bash)
_tilefold_words() { COMPREPLY=($(compgen -W "$1" -- "$cur")); }
_tilefold_files() { COMPREPLY=($(compgen -f -- "$cur")); compopt -o filenames 2>/dev/null; }
_tilefold_reply() {
  if [[ $cur == -* ]]; then _tilefold_words "$2"
  elif [[ $3 == true ]]; then _tilefold_files
  else _tilefold_words "$1"; fi
}
_tilefold() {
  local cur=\${COMP_WORDS[COMP_CWORD]} path='' i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$path \${COMP_WORDS[i]}" in
      ${nodes
        .slice(1)
        .map(node => `'${pathOf(node)}'`)
        .join(' | ')}) path="$path \${COMP_WORDS[i]}" ;;
      ${valued.map(({ node, flag }) => pattern(node, flag.long)).join(' | ')}) ((i++)) ;;
    esac
  done
  case "$path \${COMP_WORDS[COMP_CWORD - 1]}" in
${values.join('\n')}
  esac
  case "$path" in
${replies.join('\n')}
  esac
}
complete -F _tilefold tilefold`;
}

/** zsh runs bash's completions; one script is less to go wrong. */
function zshScript(root: Node): string {
  return `#compdef tilefold
# Completion of tilefold for zsh: source <(tilefold completion zsh)
autoload -U +X bashcompinit && bashcompinit
${bashScript(root).split('\n').slice(1).join('\n')}`;
}

function fishScript(root: Node): string {
  const lines = allOf(root).flatMap(node => {
    const seen = node.words.map(word => `__fish_seen_subcommand_from ${word}`);
    const inner = node.commands.map(each => each.words.at(-1)!);
    const none = inner.length > 0 ? [`not __fish_seen_subcommand_from ${inner.join(' ')}`] : [];
    const when = [...seen, ...none].join('; and ') || 'true';
    const line = (rest: string, description: string) =>
      `complete -c tilefold -n ${fishText(when)} ${rest} -d ${fishText(description)}`;
    return [
      ...node.commands.map(each => line(`-a ${each.words.at(-1)}`, each.description)),
      ...node.options.map(flag => line(`-l ${flag.long.slice(2)}${fishValue(flag)}`, flag.description)),
      ...(node.choices.length > 0 ? [line(`-a ${fishText(node.choices.join(' '))}`, node.description)] : []),
      ...(node.files ? [`complete -c tilefold -n ${fishText(when)} -F`] : []),
    ];
  });
  return [
    '# Completion of tilefold for fish: tilefold completion fish | source',
    'complete -c tilefold -f',
    ...lines,
  ].join('\n');
}

function fishValue({ takesValue, files, choices }: Flag): string {
  if (!takesValue) return '';
  if (files) return ' -r -F';
  return choices.length > 0 ? ` -x -a ${fishText(choices.join(' '))}` : ' -x';
}

function fishText(text: string): string {
  return `'${text.replace(/[\\']/g, '\\$&')}'`;
}
