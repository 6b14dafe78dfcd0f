import pino, { type Logger } from "pino";

/**
 * A JSON logger, to a file where one is named, else to standard error.
 *
 * Warning: what is logged is read by strangers. Never a prompt, an answer, a key or a body.
 */
export function createLogger(options: {
  readonly name: string;
  readonly level?: string;
  readonly file?: string;
}): Logger {
  const destination = pino.destination({
    dest: options.file ?? 2,
    mkdir: true,
    sync: options.file === undefined,
  });
  return pino({ name: options.name, level: options.level ?? "info" }, destination);
}
