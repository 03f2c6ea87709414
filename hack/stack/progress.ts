import { systemClock, type Clock } from '../../src/base/clock.ts';

/** What a person is told while something takes its time. */
export interface Progress {
  /** Something begins, or has come further, that may take a while. */
  step(text: string): void;
  /** Something was finished. */
  done(text: string): void;
  /** Something worth knowing that is neither. */
  note(text: string): void;
}

export interface TerminalProgressOptions {
  /** Takes one line with its line feed. Default: standard error, so that standard output stays free for results. */
  readonly write?: (line: string) => void;
  readonly clock?: Clock;
}

/** Plain lines with the seconds since the start in front; no colours, no cursor movement, so that it suits a CI log too. */
export function terminalProgress(options: TerminalProgressOptions = {}): Progress {
  const clock = options.clock ?? systemClock;
  const write = options.write ?? ((line: string) => process.stderr.write(line));
  const start = clock.monotonic();
  const line = (mark: string, text: string): void => {
    const seconds = ((clock.monotonic() - start) / 1000).toFixed(1);
    write(`${seconds.padStart(6)} s ${mark} ${text}\n`);
  };
  return {
    step: (text) => line('…', text),
    done: (text) => line('✓', text),
    note: (text) => line('·', text),
  };
}

export const silentProgress: Progress = {
  step: () => undefined,
  done: () => undefined,
  note: () => undefined,
};
