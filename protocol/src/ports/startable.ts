/** Something with a lifecycle; `stop` is safe to call twice and waits for what is under way. */
export interface Startable {
  start(): Promise<void>;
  stop(): Promise<void>;
}
