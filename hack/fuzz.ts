import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Where the fuzz tests, in however many processes, tell what they have tried (test/support/fuzzing.ts). */
export class FuzzReport {
  readonly #folder = mkdtempSync(join(tmpdir(), 'coder-operator-fuzz-'));

  get file(): string {
    return join(this.#folder, 'report.jsonl');
  }

  /** How many inputs each parser got, and all of them. */
  text(): string {
    const inputs = new Map<string, number>();
    for (const line of this.#lines()) {
      const told = JSON.parse(line) as { readonly parser: string; readonly inputs: number };
      inputs.set(told.parser, (inputs.get(told.parser) ?? 0) + told.inputs);
    }
    const total = [...inputs.values()].reduce((sum, count) => sum + count, 0);
    const rows = [...inputs].sort(([a], [b]) => (a < b ? -1 : 1));
    return [...rows, ['in all', total] as const]
      .map(([parser, count]) => `  ${parser.padEnd(32)}${count.toLocaleString('en-US').padStart(12)}`)
      .join('\n');
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #lines(): readonly string[] {
    try {
      return readFileSync(this.file, 'utf8')
        .split('\n')
        .filter((line) => line !== '');
    } catch {
      // Nothing was tried.
      return [];
    }
  }
}
