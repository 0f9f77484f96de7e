/**
 * `${NAME}` and `${NAME:-default}` in configuration values.
 *
 * The default stands when the name is not set or empty, as in a shell, and is taken as it is. `$${` is a literal `${`; any
 * other `$` is just a dollar sign. What is put in is text only: it can add neither keys nor structure to the file.
 */

export type Environment = Readonly<Record<string, string | undefined>>;

export interface VariableMistake {
  code: "config_variable_missing" | "config_variable_syntax";
  message: string;
  hint: string;
  /** Where in the text the reference begins. */
  at: string;
}

export interface Substituted {
  text: string;
  /** The text holds something from the environment or a default. */
  used: boolean;
  mistakes: VariableMistake[];
}

const reference = /\$\$\{|\$\{([^}]*)(\}?)/g;
const name = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s;

/** Puts the environment into `text`; each reference that cannot be resolved is a mistake. */
export function substitute(text: string, environment: Environment): Substituted {
  const mistakes: VariableMistake[] = [];
  let used = false;
  const result = text.replaceAll(reference, (whole: string, inside: string | undefined, end: string | undefined) => {
    if (whole === "$${") return "${";
    const match = end === "}" ? name.exec(inside ?? "") : null;
    if (match === null) {
      mistakes.push({
        code: "config_variable_syntax",
        message: `\`${whole}\` is not a variable`,
        hint: "write ${NAME} or ${NAME:-default}; a literal ${ is written $${",
        at: whole,
      });
      return "";
    }
    used = true;
    const [, key = "", fallback] = match;
    const value = environment[key];
    if (fallback !== undefined) return value === undefined || value === "" ? fallback : value;
    if (value !== undefined) return value;
    mistakes.push({
      code: "config_variable_missing",
      message: `the environment variable ${key} is not set`,
      hint: `set it, or give a default: \${${key}:-…}; a literal \${ is written $\${`,
      at: whole,
    });
    return "";
  });
  return { text: result, used, mistakes };
}
