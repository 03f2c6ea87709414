import type { Server } from './process.ts';

/** How a command of this checkout is run in the place of a pod. */
export interface WorkloadOptions {
  /** What Node is told to run, with options of its own in front. Default: the sources of this checkout, by tsx. */
  readonly program?: readonly string[];
  /** Flags after those that the local stack needs. */
  readonly args?: readonly string[];
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Milliseconds for it to become ready. Default 60,000. */
  readonly readyWithinMs?: number;
  readonly signal?: AbortSignal | undefined;
}

/** A command of this checkout that runs as a process of its own. */
export class Workload {
  /** Of 127.0.0.1: `http://127.0.0.1:PORT`, or with https. */
  readonly url: string;
  readonly logFile: string;
  /** One look whether it says that it is ready. */
  readonly isReady: () => Promise<boolean>;
  readonly #server: Server;

  constructor(server: Server, url: string) {
    this.#server = server;
    this.url = url;
    this.logFile = server.spec.logFile;
    this.isReady = server.spec.ready;
  }

  get pid(): number | undefined {
    return this.#server.record?.pid;
  }

  get running(): boolean {
    return this.#server.running;
  }

  /** Asks it to end with this signal (default SIGTERM) and waits; SIGKILL when it takes longer than it may. */
  stop(signal?: NodeJS.Signals): Promise<void> {
    return this.#server.stop(signal);
  }

  /** SIGKILL, as in a crash. */
  kill(): Promise<void> {
    return this.#server.kill();
  }

  /** Starts it again with the same flags and port. @throws StackError as `Server.start`. */
  start(signal?: AbortSignal): Promise<void> {
    return this.#server.start(signal);
  }
}
